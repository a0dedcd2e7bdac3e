#include "common/mounts.h"

#include <algorithm>
#include <optional>

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

// "36 35 98:0 /root /mount rw,noatime master:1 - ext3 /dev/root rw"
std::optional<MountEntry> parse_line(std::string_view line) {
  const auto fields = split(line, ' ');
  std::size_t dash = 6;
  while (dash < fields.size() && fields[dash] != "-") ++dash;
  if (dash + 2 >= fields.size()) return std::nullopt;
  MountEntry entry;
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

std::vector<MountEntry> parse_mountinfo(std::string_view text) {
  std::vector<MountEntry> mounts;
  for (const auto line : split(text, '\n')) {
    if (auto entry = parse_line(line)) mounts.push_back(std::move(*entry));
  }
  return mounts;
}

const MountEntry* mount_of(const std::vector<MountEntry>& mounts, std::string_view path) {
  const MountEntry* deepest = nullptr;
  for (const auto& mount : mounts) {
    if (!lies_on(path, mount.mount_point)) continue;
    if (deepest == nullptr || mount.mount_point.size() >= deepest->mount_point.size()) deepest = &mount;
  }
  return deepest;
}

const MountEntry* home_of(const std::vector<MountEntry>& mounts, std::string_view path) {
  const auto* deepest = mount_of(mounts, path);
  if (deepest == nullptr || deepest->root == "/") return deepest;
  for (const auto& mount : mounts) {
    if (mount.device == deepest->device && mount.root == "/") return &mount;
  }
  return deepest;
}

}  // namespace buildwarden
