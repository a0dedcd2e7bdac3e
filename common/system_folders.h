// Folders of the system itself: nothing in them is anybody's cache or checkout, so nothing is ever deleted there.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace buildwarden {

// As the Filesystem Hierarchy Standard 3.0 has them, and where package managers, systemd and containerd keep what they
// know.
inline constexpr std::array<std::string_view, 15> kSystemFolders = {"/bin",
                                                                    "/boot",
                                                                    "/dev",
                                                                    "/etc",
                                                                    "/lib",
                                                                    "/lib32",
                                                                    "/lib64",
                                                                    "/proc",
                                                                    "/sbin",
                                                                    "/sys",
                                                                    "/usr",
                                                                    "/var/lib/dpkg",
                                                                    "/var/lib/rpm",
                                                                    "/var/lib/systemd",
                                                                    "/var/lib/containerd"};

// `path` is `folder` or lies below it; both absolute, without a slash at the end.
inline bool lies_in(std::string_view path, std::string_view folder) {
  if (folder == "/") return true;
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

// One of both holds the other one.
inline bool overlap(std::string_view one, std::string_view other) { return lies_in(one, other) || lies_in(other, one); }

// The folder of the system that `path` holds or lies in; "" for none.
inline std::string overlapped_system_folder(std::string_view path) {
  for (const auto folder : kSystemFolders) {
    if (overlap(path, folder)) return std::string(folder);
  }
  return "";
}

}  // namespace buildwarden
