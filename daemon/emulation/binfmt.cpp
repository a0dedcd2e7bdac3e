#include "daemon/emulation/binfmt.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "common/atomic_file.h"
#include "common/format.h"
#include "common/own_unit.h"
#include "common/subprocess.h"
#include "common/unique_fd.h"
#include "daemon/emulation/entry.h"

namespace buildwarden::emulation {
namespace {

constexpr Bytes kLongestEntry = 8 * kKiB;
constexpr const char* kUsualFolder = "/proc/sys/fs/binfmt_misc";

Result<void> write_to(const std::string& path, std::string_view text) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  if (!file.open()) return Error::from_errno(errno, path);
  // One write is one command to the kernel.
  if (::write(file.get(), text.data(), text.size()) < 0) return Error::from_errno(errno, path);
  return {};
}

bool is_mounted(const std::string& folder) { return ::access((folder + "/register").c_str(), F_OK) == 0; }

// A unit with ProtectKernelTunables= gets a /proc of its own, where nothing is mounted below /proc/sys, now or later.
// That of systemd itself is the machine's (its root needs CAP_SYS_PTRACE).
std::string table_of(const std::string& folder) {
  const auto outside = "/proc/1/root" + folder;
  return is_service() && !is_mounted(folder) && is_mounted(outside) ? outside : folder;
}

void read_entry(const std::string& folder, const std::string& name, policy::ObservedEmulation& into) {
  const auto text = read_file(format("{}/{}", folder, name), kLongestEntry);
  if (!text && text.error().code() == Errc::kNotFound) return;  // removed since it was listed
  auto entry = text ? parse_entry(name, *text) : Result<policy::BinfmtEntry>(text.error());
  if (entry) {
    into.entries.push_back(*std::move(entry));
  } else {
    into.broken.push_back(name);
  }
}

}  // namespace

policy::ObservedEmulation read_entries(const std::string& wanted) {
  const auto folder = table_of(wanted);
  policy::ObservedEmulation seen;
  if (!is_mounted(folder)) {
    seen.trouble = format("binfmt_misc is not mounted on {}", folder);
    return seen;
  }
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(folder.c_str()), &::closedir);
  if (!listing) {
    seen.trouble = Error::from_errno(errno, folder).message();
    return seen;
  }
  while (const auto* one = ::readdir(listing.get())) {
    const std::string name = one->d_name;
    if (name != "." && name != ".." && name != "register" && name != "status") read_entry(folder, name, seen);
  }
  std::sort(seen.entries.begin(), seen.entries.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  const auto all = read_file(folder + "/status", kLongestEntry);
  if (all && all->starts_with("disabled")) seen.trouble = format("all handlers are switched off by {}/status", folder);
  return seen;
}

Result<void> register_entry(const std::string& folder, const policy::BinfmtEntry& entry) {
  return write_to(table_of(folder) + "/register", policy::registration_of(entry))
      .with_context(format("registering {} for {}", entry.name, entry.interpreter));
}

Result<void> unregister_entry(const std::string& folder, const std::string& name) {
  if (!name.starts_with(kOwnPrefix) || name.find('/') != std::string::npos) {
    return Error(Errc::kInvalid, format("the handler {} is not ours", name));
  }
  auto removed = write_to(format("{}/{}", table_of(folder), name), "-1");
  if (!removed && removed.error().code() == Errc::kNotFound) return {};
  return removed;
}

Result<void> mount_table(const std::string& folder) {
  if (is_mounted(table_of(folder))) return {};
  if (is_service() && folder == kUsualFolder) {
    auto started = run_program({"systemctl", "start", "proc-sys-fs-binfmt_misc.mount"}, std::chrono::seconds{10});
    if (!started) return std::move(started).error();
    if (started->exit_code != 0) return Error(Errc::kIo, format("systemctl: {}", started->errors));
    return {};
  }
  if (::mount("binfmt_misc", folder.c_str(), "binfmt_misc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0) return {};
  const int error = errno;
  auto failed = Error::from_errno(error, format("mounting binfmt_misc on {}", folder));
  if (error != EPERM) return failed;
  return Error(Errc::kDenied, failed.message() + " (that needs CAP_SYS_ADMIN; mount it from outside)");
}

}  // namespace buildwarden::emulation
