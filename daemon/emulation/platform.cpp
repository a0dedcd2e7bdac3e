#include "daemon/emulation/platform.h"

#include <sys/utsname.h>

#include <algorithm>
#include <array>

namespace buildwarden::emulation {
namespace {

using namespace std::string_view_literals;

// The codes, exit(N + the first byte of argv[0]) each, as the kernel's system call tables and the machines' manuals
// have them. At the start the stack's pointer is at argc, and argv[0] is the next word. amd64, N = 71: mov rdi, [rsp+8]
// · movzx edi, byte [rdi] · add edi, 71 · mov eax, 60 (exit) · syscall
constexpr auto kAmd64 = "\x48\x8b\x7c\x24\x08\x0f\xb6\x3f\x83\xc7\x47\xb8\x3c\0\0\0\x0f\x05"sv;
// 386, N = 72: mov ebx, [esp+4] · movzx ebx, byte [ebx] · add ebx, 72 · mov eax, 1 (exit) · int 0x80
constexpr auto k386 = "\x8b\x5c\x24\x04\x0f\xb6\x1b\x83\xc3\x48\xb8\x01\0\0\0\xcd\x80"sv;
// arm64, N = 73, words 0xf94007e0 0x39400000 0x11012400 0xd2800ba8 0xd4000001: ldr x0, [sp, #8] · ldrb w0, [x0] ·
// add w0, w0, #73 · mov x8, #93 (exit) · svc #0
constexpr auto kArm64 = "\xe0\x07\x40\xf9\0\0\x40\x39\0\x24\x01\x11\xa8\x0b\x80\xd2\x01\0\0\xd4"sv;
// arm, N = 74, words 0xe59d0004 0xe5d00000 0xe280004a 0xe3a07001 0xef000000: ldr r0, [sp, #4] · ldrb r0, [r0] ·
// add r0, r0, #74 · mov r7, #1 (exit) · svc 0
constexpr auto kArm = "\x04\0\x9d\xe5\0\0\xd0\xe5\x4a\0\x80\xe2\x01\x70\xa0\xe3\0\0\0\xef"sv;
// riscv64, N = 75, words 0x00813503 0x00054503 0x04b50513 0x05d00893 0x00000073: ld a0, 8(sp) · lbu a0, 0(a0) ·
// addi a0, a0, 75 · li a7, 93 (exit) · ecall
constexpr auto kRiscv64 = "\x03\x35\x81\0\x03\x45\x05\0\x13\x05\xb5\x04\x93\x08\xd0\x05\x73\0\0\0"sv;
// ppc64le, N = 76, words 0xe8610008 0x88630000 0x3863004c 0x38000001 0x44000002: ld r3, 8(r1) · lbz r3, 0(r3) ·
// addi r3, r3, 76 · li r0, 1 (exit) · sc
constexpr auto kPpc64le = "\x08\0\x61\xe8\0\0\x63\x88\x4c\0\x63\x38\x01\0\0\x38\x02\0\0\x44"sv;
// s390x, N = 77: lg %r2, 8(%r15) · llgc %r2, 0(%r2) · aghi %r2, 77 · svc 1 (exit)
constexpr auto kS390x = "\xe3\x20\xf0\x08\0\x04\xe3\x20\x20\0\0\x90\xa7\x2b\0\x4d\x0a\x01"sv;
// mips64 and mips64le, N = 78 and 79, words 0xdfa40008 0x90840000 0x2484004e or f, 0x240213c2, 0x0000000c: ld a0, 8(sp)
// · lbu a0, 0(a0) · addiu a0, a0, N · li v0, 5058 (exit of the n64 ABI, whose calls begin at 5000) · syscall
constexpr auto kMips64 = "\xdf\xa4\0\x08\x90\x84\0\0\x24\x84\0\x4e\x24\x02\x13\xc2\0\0\0\x0c"sv;
constexpr auto kMips64le = "\x08\0\xa4\xdf\0\0\x84\x90\x4f\0\x84\x24\xc2\x13\x02\x24\x0c\0\0\0"sv;
// loong64, N = 80, words 0x28c02064 0x2a000084 0x02814084 0x0281740b 0x002b0000: ld.d a0, sp, 8 · ld.bu a0, a0, 0 ·
// addi.w a0, a0, 80 · li.w a7, 93 (exit) · syscall 0
constexpr auto kLoong64 = "\x64\x20\xc0\x28\x84\0\0\x2a\x84\x40\x81\x02\x0b\x74\x81\x02\0\0\x2b\0"sv;

constexpr std::uint32_t kEabi5 = 0x05000000;     // e_flags of arm: the ABI of all distributions since 2007
constexpr std::uint32_t kElfV2 = 2;              // e_flags of ppc64le: the entry is code, not a descriptor of it
constexpr std::uint32_t kMips64R2 = 0x80000000;  // e_flags of mips64, as Debian builds for it: n64, not n32
constexpr std::uint32_t kDoubleFloat1 = 0x43;    // e_flags of loong64: double precision in registers, object ABI 1
// Of mips64: 0, and 1 for programs with a table of links. Of loong64: any, as QEMU has it.
constexpr std::uint8_t kEvenOrOdd = 0xfe;
constexpr std::uint8_t kAny = 0;
constexpr std::array<Platform, 10> kPlatforms = {{
    {"linux/amd64", "x86_64", "x86_64", true, false, 62, 0, 71, kAmd64},
    {"linux/386", "i386", "i686", false, false, 3, 0, 72, k386},
    {"linux/arm64", "aarch64", "aarch64", true, false, 183, 0, 73, kArm64},
    {"linux/arm", "arm", "armv7l", false, false, 40, kEabi5, 74, kArm},
    {"linux/riscv64", "riscv64", "riscv64", true, false, 243, 0, 75, kRiscv64},
    {"linux/ppc64le", "ppc64le", "ppc64le", true, false, 21, kElfV2, 76, kPpc64le},
    {"linux/s390x", "s390x", "s390x", true, true, 22, 0, 77, kS390x},
    {"linux/mips64", "mips64", "", true, true, 8, kMips64R2, 78, kMips64, kEvenOrOdd, true},
    {"linux/mips64le", "mips64el", "", true, false, 8, kMips64R2, 79, kMips64le, kEvenOrOdd, true},
    {"linux/loong64", "loongarch64", "loongarch64", true, false, 258, kDoubleFloat1, 80, kLoong64, kAny, true},
}};

constexpr std::uint16_t kExecutable = 2;  // e_type
constexpr std::uint32_t kLoad = 1;        // p_type
constexpr std::uint32_t kReadExecute = 5;
constexpr std::uint64_t kPage = 0x10000;      // the largest page that any of the machines has
constexpr std::uint64_t kAddress = 0x400000;  // where the whole file is mapped

// Numbers in the byte order of the machine.
class Writer {
 public:
  explicit Writer(const Platform& platform) : platform_(platform) {}
  void number(std::uint64_t value, int size) {
    for (int at = 0; at < size; ++at) {
      const int byte = platform_.big_endian ? size - 1 - at : at;
      out += static_cast<char>(value >> (8 * byte) & 0xff);
    }
  }
  void half(std::uint64_t value) { number(value, 2); }
  void word(std::uint64_t value) { number(value, 4); }
  void address(std::uint64_t value) { number(value, platform_.wide ? 8 : 4); }
  std::string out;

 private:
  const Platform& platform_;
};

// EI_CLASS, EI_DATA and EI_VERSION after the magic number, then padding.
std::string identification(const Platform& platform) {
  std::string bytes =
      "\x7f"
      "ELF";
  bytes += platform.wide ? '\x02' : '\x01';
  bytes += platform.big_endian ? '\x02' : '\x01';
  bytes += '\x01';
  bytes.resize(16, '\0');
  return bytes;
}

}  // namespace

std::span<const Platform> platforms() { return kPlatforms; }

const Platform* find_platform(std::string_view name) {
  if (name.starts_with("linux/")) name.remove_prefix(6);
  name = name.substr(0, name.find('/'));
  const auto found =
      std::find_if(kPlatforms.begin(), kPlatforms.end(), [&](const auto& one) { return one.name.substr(6) == name; });
  return found == kPlatforms.end() ? nullptr : &*found;
}

const Platform* platform_of_machine(std::string_view machine) {
  const auto found =
      std::find_if(kPlatforms.begin(), kPlatforms.end(), [&](const auto& one) { return one.machine == machine; });
  return found == kPlatforms.end() ? nullptr : &*found;
}

const Platform* own_platform() {
  utsname host{};
  return ::uname(&host) == 0 ? platform_of_machine(host.machine) : nullptr;
}

std::string magic_of(const Platform& platform) {
  Writer writer(platform);
  writer.out = identification(platform);
  writer.half(kExecutable);
  writer.half(platform.elf_machine);
  return writer.out;
}

std::string mask_of(const Platform& platform) {
  std::string mask(20, '\xff');
  mask[7] = '\0';
  mask[8] = static_cast<char>(platform.abi_version_mask);
  mask[platform.big_endian ? 17 : 16] = '\xfe';
  return mask;
}

std::string program_of(const Platform& platform) {
  const std::uint64_t header = platform.wide ? 64 : 52;
  const std::uint64_t program_header = platform.wide ? 56 : 32;
  const auto size = header + program_header + platform.code.size();
  Writer writer(platform);
  writer.out = magic_of(platform);
  writer.word(1);                                      // e_version
  writer.address(kAddress + header + program_header);  // e_entry: the code
  writer.address(header);                              // e_phoff
  writer.address(0);                                   // e_shoff
  writer.word(platform.elf_flags);
  writer.half(header);
  writer.half(program_header);
  for (const auto value : {1, 0, 0, 0}) writer.half(static_cast<std::uint64_t>(value));  // one segment, no sections
  writer.word(kLoad);
  if (platform.wide) writer.word(kReadExecute);
  writer.address(0);         // p_offset: the whole file
  writer.address(kAddress);  // p_vaddr
  writer.address(kAddress);  // p_paddr
  writer.address(size);      // p_filesz
  writer.address(size);      // p_memsz
  if (!platform.wide) writer.word(kReadExecute);
  writer.address(kPage);
  return writer.out.append(platform.code);
}

}  // namespace buildwarden::emulation
