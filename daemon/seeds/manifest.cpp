#include "daemon/seeds/manifest.h"

#include <boost/json.hpp>

#include "common/format.h"

namespace buildwarden::seeds {
namespace json = boost::json;

namespace {

// Reads members, and remembers the first that is not what it should be.
class Members {
 public:
  explicit Members(const json::object& object) : object_(object) {}

  std::string text(const char* name) {
    const auto* member = object_.if_contains(name);
    const auto* found = member == nullptr ? nullptr : member->if_string();
    if (found != nullptr) return std::string(found->data(), found->size());
    blame(name);
    return "";
  }
  std::int64_t number(const char* name) {
    const auto* member = object_.if_contains(name);
    const auto* found = member == nullptr ? nullptr : member->if_int64();
    if (found != nullptr) return *found;
    blame(name);
    return 0;
  }
  const json::array& list(const char* name) {
    static const json::array none;
    const auto* member = object_.if_contains(name);
    const auto* found = member == nullptr ? nullptr : member->if_array();
    if (found != nullptr) return *found;
    blame(name);
    return none;
  }
  void blame(const char* name) {
    if (wrong_.empty()) wrong_ = name;
  }
  [[nodiscard]] const std::string& wrong() const { return wrong_; }

 private:
  const json::object& object_;
  std::string wrong_;
};

void read_parts(Members& members, policy::SeedManifest& into) {
  for (const auto& item : members.list("parts")) {
    const auto* object = item.if_object();
    if (object == nullptr) return members.blame("parts");
    Members part(*object);
    policy::SeedPart read;
    read.name = part.text("name");
    read.bytes = part.number("bytes");
    read.sha256 = part.text("sha256");
    if (!part.wrong().empty()) return members.blame("parts");
    into.parts.push_back(std::move(read));
  }
}

void read_previous(Members& members, policy::SeedManifest& into) {
  for (const auto& item : members.list("previous")) {
    const auto* name = item.if_string();
    if (name == nullptr) return members.blame("previous");
    into.previous.emplace_back(name->data(), name->size());
  }
}

// Those of before it have none.
void read_images(Members& members, const json::object& object, policy::SeedManifest& into) {
  if (!object.contains("images")) return;
  for (const auto& item : members.list("images")) {
    const auto* name = item.if_string();
    if (name == nullptr) return members.blame("images");
    into.images.emplace_back(name->data(), name->size());
  }
}

void read_members(Members& members, policy::SeedManifest& into) {
  into.builder = members.text("builder");
  into.architecture = members.text("architecture");
  into.buildkit = members.text("buildkit");
  into.snapshotter = members.text("snapshotter");
  into.engine = members.text("engine");
  into.instance = members.text("instance");
  const auto created = parse_rfc3339(members.text("created_at"));
  if (created) into.created_at = *created;
  if (!created) members.blame("created_at");
  into.unpacked_bytes = members.number("unpacked_bytes");
  into.entries = members.number("entries");
  read_parts(members, into);
  read_previous(members, into);
}

}  // namespace

std::string encode_manifest(const policy::SeedManifest& manifest) {
  json::array parts;
  for (const auto& part : manifest.parts) {
    json::object one;
    one["name"] = part.name;
    one["bytes"] = part.bytes;
    one["sha256"] = part.sha256;
    parts.push_back(std::move(one));
  }
  json::object object;
  object["format"] = manifest.format;
  object["builder"] = manifest.builder;
  object["architecture"] = manifest.architecture;
  object["buildkit"] = manifest.buildkit;
  object["snapshotter"] = manifest.snapshotter;
  object["engine"] = manifest.engine;
  object["instance"] = manifest.instance;
  object["created_at"] = format_rfc3339(manifest.created_at);
  object["unpacked_bytes"] = manifest.unpacked_bytes;
  object["entries"] = manifest.entries;
  object["parts"] = std::move(parts);
  json::array previous;
  for (const auto& name : manifest.previous) previous.push_back(json::string(name));
  object["previous"] = std::move(previous);
  json::array images;
  for (const auto& image : manifest.images) images.push_back(json::string(image));
  object["images"] = std::move(images);
  return json::serialize(object);
}

Result<policy::SeedManifest> decode_manifest(std::string_view text) {
  if (static_cast<Bytes>(text.size()) > kLongestManifest) {
    return Error(Errc::kProtocol, format("a manifest of {} bytes is none", text.size()));
  }
  boost::system::error_code broken;
  const auto root = json::parse({text.data(), text.size()}, broken);
  const auto* object = broken ? nullptr : root.if_object();
  if (object == nullptr) return Error(Errc::kProtocol, "the manifest is not a JSON object");
  Members members(*object);
  policy::SeedManifest manifest;
  manifest.format = members.number("format");
  const bool ours = members.wrong().empty() && manifest.format == policy::kSeedFormat;
  if (ours) read_members(members, manifest);
  if (ours) read_images(members, *object, manifest);
  if (members.wrong().empty()) return manifest;
  return Error(Errc::kProtocol, format("the manifest's \"{}\" is missing or wrong", members.wrong()));
}

}  // namespace buildwarden::seeds
