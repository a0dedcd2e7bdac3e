#include "config/buildkitd_file.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#define TOML_EXCEPTIONS 0  // NOLINT: how the library is told to return its errors
#include <toml++/toml.h>

#include "common/foreign_file.h"
#include "common/format.h"
#include "config/document.h"
#include "config/layer.h"

namespace buildwarden::config {
namespace {

enum class Refused : std::uint8_t { kAny, kTrue, kFalse };

struct OwnKey {
  std::string_view key;  // in small letters; * stands for any one name
  Refused refused;
  std::string_view instead;  // what would be right
};

// What the daemon promises of a builder rests on these. (cmd/buildkitd/config/config.go)
constexpr std::array kOwnKeys = {
    OwnKey{"root", Refused::kAny, "the cache lies on the builder's volume"},
    OwnKey{"grpc.address", Refused::kAny, "the daemon hands out its own socket"},
    OwnKey{"grpc.uid", Refused::kAny, "the socket is root's"},
    OwnKey{"grpc.gid", Refused::kAny, "write agent.group"},
    OwnKey{"grpc.tls", Refused::kAny, "the socket is a unix one, without TLS"},
    OwnKey{"worker.oci.enabled", Refused::kFalse, "it is the only worker that the image has"},
    OwnKey{"worker.oci.gc", Refused::kAny, "write builders[].cache_share"},
    OwnKey{"worker.oci.gckeepstorage", Refused::kAny, "write builders[].cache_share"},
    OwnKey{"worker.oci.reservedspace", Refused::kAny, "write builders[].cache_share"},
    OwnKey{"worker.oci.maxusedspace", Refused::kAny, "write builders[].cache_share"},
    OwnKey{"worker.oci.minfreespace", Refused::kAny, "write disk.min_free, which looks after the whole disk"},
    OwnKey{"worker.oci.gcpolicy", Refused::kAny, "write builders[].cache_share"},
    OwnKey{"worker.containerd.enabled", Refused::kTrue, "there is no containerd in the builder"},
    OwnKey{"history", Refused::kAny, "what builds were given stands there in clear, and is deleted when they end"},
    OwnKey{"system.platformscachemaxage", Refused::kAny, "new emulators must be seen at once"},
    OwnKey{"registry.*.ca", Refused::kAny, "write builders[].registries.HOST.ca, which is copied into the builder"},
    OwnKey{"registry.*.keypair", Refused::kAny, "no file of the host is in the builder"},
};

std::string small_letters(std::string_view text) {
  std::string small(text);
  std::transform(small.begin(), small.end(), small.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return small;
}

// Whether the pattern names exactly this key.
bool fits(std::string_view pattern, const std::vector<std::string>& path) {
  for (std::size_t i = 0; i < path.size(); ++i) {
    const auto dot = pattern.find('.');
    const auto part = pattern.substr(0, dot);
    if (part != "*" && part != path[i]) return false;
    if (dot == std::string_view::npos) return i + 1 == path.size();
    pattern.remove_prefix(dot + 1);
  }
  return false;
}

bool is_refused(const OwnKey& own, const toml::node& value) {
  if (own.refused == Refused::kAny) return true;
  const auto* flag = value.as_boolean();
  return flag == nullptr || flag->get() == (own.refused == Refused::kTrue);
}

std::string place_of(const std::string& file, const toml::source_region& source) {
  return place(file, static_cast<int>(source.begin.line), static_cast<int>(source.begin.column));
}

class Check {
 public:
  explicit Check(const std::string& file) : file_(file) {}

  void look(const toml::table& table) {
    for (const auto& [key, value] : table) {
      path_.push_back(small_letters(key.str()));
      shown_.emplace_back(key.str());
      if (!refuse(key, value) && value.is_table()) look(*value.as_table());
      path_.pop_back();
      shown_.pop_back();
    }
  }

  [[nodiscard]] const std::string& mistakes() const { return mistakes_; }

 private:
  bool refuse(const toml::key& key, const toml::node& value) {
    const auto own = std::find_if(kOwnKeys.begin(), kOwnKeys.end(),
                                  [&](const OwnKey& one) { return fits(one.key, path_) && is_refused(one, value); });
    if (own == kOwnKeys.end()) return false;
    std::string name;
    for (const auto& part : shown_) name += (name.empty() ? "" : ".") + part;
    mistakes_ += format("{}{}{}: is the daemon's to set; {}", mistakes_.empty() ? "" : "\n",
                        place_of(file_, key.source()), name, own->instead);
    return true;
  }

  const std::string& file_;
  std::vector<std::string> path_;
  std::vector<std::string> shown_;
  std::string mistakes_;
};

}  // namespace

Result<BuildkitdFile> check_buildkitd_file(const std::string& file, const std::string& text) {
  const auto parsed = toml::parse(text, file);
  if (!parsed) {
    const auto& error = parsed.error();
    return Error(Errc::kInvalid, format("{}not TOML: {}", place_of(file, error.source()), error.description()));
  }
  const toml::table& root = parsed.table();
  Check check(file);
  check.look(root);
  if (!check.mistakes().empty()) return Error(Errc::kInvalid, check.mistakes());
  BuildkitdFile read{text, {}};
  if (const auto* registries = root["registry"].as_table()) {
    for (const auto& [host, section] : *registries) read.registries.emplace(host.str());
  }
  return read;
}

Result<BuildkitdFile> read_buildkitd_file(const std::string& path) {
  auto file = read_foreign_file(path, FileOwner::kRoot, kMaxFile);
  if (!file) return std::move(file).error();
  if (may_others_replace(path)) {
    return Error(Errc::kDenied, format("others than root may replace {}: put it into a folder of root's", path));
  }
  return check_buildkitd_file(path, file->text);
}

}  // namespace buildwarden::config
