// The platforms that containers are built for, and how the kernel and QEMU tell them. Facts only.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace buildwarden::emulation {

struct Platform {
  std::string_view name;     // "linux/arm64"
  std::string_view qemu;     // QEMU's name for it: "aarch64"
  std::string_view machine;  // as uname names it; "" where that does not tell which it is
  bool wide = true;          // 64 bits
  bool big_endian = false;
  std::uint16_t elf_machine = 0;
  std::uint32_t elf_flags = 0;
  int exit_base = 0;                     // of its program; another one for each, so that no other program passes for it
  std::string_view code;                 // what its program consists of
  std::uint8_t abi_version_mask = 0xff;  // which bits count of the byte that tells the ABI's version
  // Not among `all`: older QEMUs and binfmt images lack it, and nothing may be missing there for good.
  bool by_name = false;
};

// All that are known, each once.
std::span<const Platform> platforms();

// "linux/arm64", "arm64", "linux/arm/v7" (all variants are one). Null: it is not known.
const Platform* find_platform(std::string_view name);

// That of this host, as `machine` of uname says it. Null: none that is known.
const Platform* platform_of_machine(std::string_view machine);
const Platform* own_platform();

// The first 20 bytes of its programs, and which bits of them count: the pairs of QEMU's own qemu-binfmt-conf.sh. The
// ABI byte and e_type (executable or shared, so position independent too) are left open, and the ABI's version where
// programs of one machine differ in it.
std::string magic_of(const Platform& platform);
std::string mask_of(const Platform& platform);

// A whole program: an ELF header, one program header, and the code, that exits with the platform's `exit_base` plus the
// first byte of its argv[0], which so tells whether it sees the name that it was called by. Static, without sections:
// 100 to 150 bytes.
std::string program_of(const Platform& platform);

// The argv[0] that the programs are called by, and how its first byte differs from that of any path, which an emulator
// may put in its place: the two exit codes of a platform are no codes of another one.
inline constexpr std::string_view kCalledBy = "@";
[[nodiscard]] constexpr int exit_code_of(const Platform& platform) { return platform.exit_base + kCalledBy[0]; }
[[nodiscard]] constexpr int exit_code_by_path(const Platform& platform) { return platform.exit_base + '/'; }

}  // namespace buildwarden::emulation
