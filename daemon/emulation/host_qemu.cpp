#include "daemon/emulation/host_qemu.h"

#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "common/format.h"
#include "common/unique_fd.h"
#include "daemon/emulation/binfmt.h"

namespace buildwarden::emulation {
namespace {

constexpr int kMostSegments = 64;
// F: opened now, so that it works in containers and after an update took the file away. C: a setuid program (sudo in a
// RUN step) gets its owner's rights, which QEMU itself, not being setuid, would not pass on; it implies O. P: a program
// sees the name that it was called by, which many-named ones (busybox) need; policy leaves it out where QEMU cannot.
constexpr const char* kFlags = "POCF";

template <class Header, class Segment>
Result<bool> has_no_loader(int file, const std::string& path) {
  Header header{};
  if (::pread(file, &header, sizeof header, 0) != static_cast<ssize_t>(sizeof header) ||
      header.e_phentsize != sizeof(Segment) || header.e_phnum > kMostSegments) {
    return Error(Errc::kProtocol, format("{} is no program", path));
  }
  for (int at = 0; at < header.e_phnum; ++at) {
    Segment segment{};
    const auto where = static_cast<off_t>(header.e_phoff) + static_cast<off_t>(sizeof segment) * at;
    if (::pread(file, &segment, sizeof segment, where) != static_cast<ssize_t>(sizeof segment)) {
      return Error(Errc::kProtocol, format("{} is cut short", path));
    }
    if (segment.p_type == PT_INTERP) return false;
  }
  return true;
}

}  // namespace

Result<bool> is_static(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!file.open()) return Error::from_errno(errno, path);
  std::array<unsigned char, EI_NIDENT> begin{};
  const auto got = ::read(file.get(), begin.data(), begin.size());
  if (got != static_cast<ssize_t>(begin.size()) || std::memcmp(begin.data(), ELFMAG, SELFMAG) != 0) {
    return Error(Errc::kProtocol, format("{} is no program", path));
  }
  if (begin[EI_CLASS] == ELFCLASS64) return has_no_loader<Elf64_Ehdr, Elf64_Phdr>(file.get(), path);
  return has_no_loader<Elf32_Ehdr, Elf32_Phdr>(file.get(), path);
}

Result<std::string> find_host_qemu(const Platform& platform, const std::vector<std::string>& folders) {
  std::string unfit;
  for (const auto& folder : folders) {
    for (const auto* const pattern : {"qemu-{}-static", "qemu-{}", "{}-binfmt-P"}) {
      std::string name = pattern;
      name.replace(name.find("{}"), 2, platform.qemu);
      auto path = format("{}/{}", folder, name);
      const auto fit = is_static(path);
      if (fit && *fit) return path;
      if (fit) unfit = format(", but {} needs a loader, which no container has", path);
    }
  }
  return Error(Errc::kNotFound,
               format("the host has no static qemu-{} (package qemu-user-static){}", platform.qemu, unfit));
}

std::vector<policy::DesiredPlatform> desired_platforms(const std::vector<std::string>& names) {
  std::vector<policy::DesiredPlatform> all;
  const auto* own = own_platform();
  for (const auto& name : names) {
    const auto* platform = find_platform(name);
    policy::DesiredPlatform wish;
    wish.platform = platform == nullptr ? name : std::string(platform->name);
    const auto is_known = [&](const auto& known) { return known.platform == wish.platform; };
    if (std::any_of(all.begin(), all.end(), is_known)) continue;
    wish.native = platform != nullptr && platform == own;
    if (platform == nullptr) {
      wish.why_not = "no platform of that name is known";
    } else {
      wish.handler = kOwnPrefix + std::string(platform->qemu);
      wish.magic = magic_of(*platform);
      wish.mask = mask_of(*platform);
      const auto path = find_host_qemu(*platform);
      if (path) wish.wanted = policy::BinfmtEntry{wish.handler, true, *path, kFlags, 0, wish.magic, wish.mask};
      if (!path) wish.why_not = path.error().message();
    }
    all.push_back(std::move(wish));
  }
  return all;
}

std::vector<std::string> all_names() {
  std::vector<std::string> names;
  for (const auto& one : platforms()) {
    if (!one.by_name) names.emplace_back(one.name);
  }
  return names;
}

}  // namespace buildwarden::emulation
