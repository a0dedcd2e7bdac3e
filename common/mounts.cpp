#include "common/mounts.h"

#include <sys/sysmacros.h>

#include <algorithm>
#include <charconv>
#include <system_error>
#include "common/format.h"

namespace buildwarden {
namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const auto end = text.find(separator);
    const auto part = text.substr(0, end);
    if (!part.empty()) parts.push_back(part);
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return parts;
}

bool is_octal(char digit) { return digit >= '0' && digit <= '7'; }

// The kernel writes space, tab, newline and backslash as \ooo.
std::string unescape(std::string_view text) {
  std::string plain;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool escaped = text[at] == '\\' && at + 3 < text.size() && is_octal(text[at + 1]) && is_octal(text[at + 2]) &&
                         is_octal(text[at + 3]);
    if (!escaped) {
      plain += text[at];
      continue;
    }
    plain += static_cast<char>((text[at + 1] - '0') * 64 + (text[at + 2] - '0') * 8 + (text[at + 3] - '0'));
    at += 3;
  }
  return plain;
}

bool says_read_only(std::string_view options) {
  const auto all = split(options, ',');
  return std::find(all.begin(), all.end(), "ro") != all.end();
}

std::optional<std::int64_t> number_in(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// "36 35 98:0 /root /mount rw,noatime master:1 - ext3 /dev/root rw"
std::optional<MountEntry> parse_line(std::string_view line) {
  const auto fields = split(line, ' ');
  std::size_t dash = 6;
  while (dash < fields.size() && fields[dash] != "-") ++dash;
  if (dash + 2 >= fields.size()) return std::nullopt;
  const auto id = number_in(fields[0]);
  if (!id) return std::nullopt;
  MountEntry entry;
  entry.id = *id;
  entry.device = std::string(fields[2]);
  entry.root = unescape(fields[3]);
  entry.mount_point = unescape(fields[4]);
  entry.type = std::string(fields[dash + 1]);
  entry.source = unescape(fields[dash + 2]);
  entry.read_only = says_read_only(fields[5]) || (dash + 3 < fields.size() && says_read_only(fields[dash + 3]));
  return entry;
}

bool lies_on(std::string_view path, std::string_view mount_point) {
  if (mount_point == "/") return !path.empty() && path.front() == '/';
  if (path.substr(0, mount_point.size()) != mount_point) return false;
  return path.size() == mount_point.size() || path[mount_point.size()] == '/';
}

}  // namespace

std::string device_label(dev_t device) { return format("{}:{}", major(device), minor(device)); }

std::vector<MountEntry> parse_mountinfo(std::string_view text) {
  std::vector<MountEntry> mounts;
  for (const auto line : split(text, '\n')) {
    if (auto entry = parse_line(line)) mounts.push_back(std::move(*entry));
  }
  return mounts;
}

bool is_containers_own(const MountEntry& mount) {
  const std::string_view point = mount.mount_point;
  if (mount.type == "nsfs") return true;
  if (mount.type == "overlay") return point.ends_with("/merged") || point.ends_with("/rootfs");
  return mount.type == "tmpfs" && point.ends_with("/mounts/shm");
}

std::optional<std::int64_t> mount_id_in(std::string_view fdinfo) {
  constexpr std::string_view kName = "mnt_id:\t";
  for (const auto line : split(fdinfo, '\n')) {
    if (line.starts_with(kName)) return number_in(line.substr(kName.size()));
  }
  return std::nullopt;
}

const MountEntry* mount_of(const std::vector<MountEntry>& mounts, std::string_view path) {
  const MountEntry* deepest = nullptr;
  for (const auto& mount : mounts) {
    if (!lies_on(path, mount.mount_point)) continue;
    if (deepest == nullptr || mount.mount_point.size() >= deepest->mount_point.size()) deepest = &mount;
  }
  return deepest;
}

MountEntry home_of(const std::vector<MountEntry>& mounts, const MountEntry& mount) {
  if (mount.root == "/") return mount;
  const auto whole = std::find_if(mounts.begin(), mounts.end(), [&mount](const MountEntry& other) {
    return other.device == mount.device && other.root == "/";
  });
  return whole == mounts.end() ? mount : *whole;
}

}  // namespace buildwarden
