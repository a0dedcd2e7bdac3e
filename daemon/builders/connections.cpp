#include "daemon/builders/connections.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <sstream>
#include <vector>

#include "common/atomic_file.h"
#include "common/format.h"

namespace buildwarden::builders {
namespace {

constexpr std::string_view kConnected = "03";

// The tables of /proc/<pid>/net, and in which column (from 0) an inode stands.
struct Table {
  std::string_view name;
  std::size_t inode;
  bool required;  // the others are absent where the kernel lacks the protocol
};
constexpr std::array<Table, 9> kTables = {{{"unix", 6, true},
                                           {"tcp", 9, true},
                                           {"tcp6", 9, false},
                                           {"udp", 9, false},
                                           {"udp6", 9, false},
                                           {"raw", 9, false},
                                           {"raw6", 9, false},
                                           {"netlink", 9, true},
                                           {"packet", 8, false}}};

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(std::move(word));
  return words;
}

// "socket:[4711]" → "4711", of every descriptor that is one.
Result<std::set<std::string>> sockets_of(const std::string& folder) {
  constexpr std::string_view kSocketLink = "socket:[";
  std::set<std::string> inodes;
  std::error_code error;
  std::filesystem::directory_iterator at(folder + "/fd", error);
  for (; !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    std::error_code closed;  // meanwhile
    const auto target = std::filesystem::read_symlink(at->path(), closed).string();
    if (closed || !target.starts_with(kSocketLink)) continue;
    inodes.insert(target.substr(kSocketLink.size(), target.size() - kSocketLink.size() - 1));
  }
  if (error) return Error::from_errno(error.value(), format("list {}/fd", folder));
  return inodes;
}

// Takes out of `sockets` those that the table lists, but for connections on `socket_path`.
void strike_out(std::set<std::string>& sockets, const std::string& text, const Table& table,
                std::string_view socket_path) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto words = words_of(line);
    if (words.size() <= table.inode) continue;
    const bool accepted = table.name == "unix" && words.size() > 7 && words[7] == socket_path && words[5] == kConnected;
    if (!accepted) sockets.erase(words[table.inode]);
  }
}

}  // namespace

Result<int> other_connections(pid_t pid, std::string_view socket_path, std::size_t own) {
  const auto folder = format("/proc/{}", pid);
  auto sockets = sockets_of(folder);
  if (!sockets) return std::move(sockets).error();
  for (const auto& table : kTables) {
    if (sockets->size() <= own) return 0;  // idle: the tables of TCP, which cost a millisecond, are not needed
    const auto text = read_file(format("{}/net/{}", folder, table.name));
    if (text) {
      strike_out(*sockets, *text, table, socket_path);
    } else if (table.required || text.error().code() != Errc::kNotFound) {
      return text.error();
    }
  }
  return static_cast<int>(sockets->size() > own ? sockets->size() - own : 0);
}

}  // namespace buildwarden::builders
