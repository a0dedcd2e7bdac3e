// The lists of decode.h: images, containers, build cache.
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <limits>
#include <optional>
#include <utility>

#include "common/format.h"
#include "daemon/engine/decode.h"
#include "daemon/engine/decode_parts.h"
#include "daemon/engine/json_lists.h"

namespace buildwarden::engine {
namespace json = boost::json;

namespace {

constexpr std::string_view kNoTag = "<none>:<none>";
constexpr std::string_view kNoDigest = "<none>@<none>";

// A number of seconds that a WallTime can hold.
WallTime read_seconds(FieldReader& fields, std::string_view name) {
  const auto seconds = fields.number(name);
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max() / 1000;
  if (seconds > kMost || seconds < -kMost) fields.fail(format("has a {} that is no time", name));
  if (!fields.result()) return {};
  return WallTime{std::chrono::seconds{seconds}};
}

bool is_digest(const std::string& name) { return name.find('@') != std::string::npos; }

// With the containerd image store an image that was pulled by digest has that name among its tags, and perhaps nowhere
// else.
void read_names(FieldReader& fields, ports::ImageRecord& image) {
  image.tags = fields.optional_list("RepoTags");
  std::erase_if(image.tags, [](const std::string& tag) { return tag.empty() || tag == kNoTag; });
  image.digests = fields.optional_list("RepoDigests");
  std::erase_if(image.digests, [](const std::string& digest) { return digest.empty() || digest == kNoDigest; });
  std::copy_if(image.tags.begin(), image.tags.end(), std::back_inserter(image.digests), is_digest);
  std::erase_if(image.tags, is_digest);
  std::sort(image.digests.begin(), image.digests.end());
  image.digests.erase(std::unique(image.digests.begin(), image.digests.end()), image.digests.end());
}

Result<ports::ImageRecord> read_image(const json::value& value) {
  FieldReader fields(value, "an image");
  ports::ImageRecord image;
  image.id = fields.name("Id");
  image.size = fields.number("Size");
  image.created = read_seconds(fields, "Created");
  read_names(fields, image);
  if (auto read = fields.result(); !read) return std::move(read).error();
  return image;
}

std::optional<policy::ContainerState> state_of(std::string_view text) {
  using State = policy::ContainerState;
  if (text == "created") return State::kCreated;
  if (text == "running") return State::kRunning;
  if (text == "paused") return State::kPaused;
  if (text == "restarting") return State::kRestarting;
  if (text == "exited") return State::kExited;
  if (text == "dead" || text == "removing") return State::kDead;
  return std::nullopt;
}

// By name, and by id where it has one: a container that does not run may have none.
std::set<std::string> read_networks(const json::value& container) {
  std::set<std::string> networks;
  FieldReader fields(container, "a container");
  if (const auto* host = fields.find("HostConfig")) {
    auto mode = FieldReader(*host, "the host configuration").optional_text("NetworkMode");
    if (!mode.empty()) networks.insert(std::move(mode));
  }
  const auto* settings = fields.find("NetworkSettings");
  const auto* found = settings == nullptr ? nullptr : FieldReader(*settings, "the network settings").find("Networks");
  const auto* attached = found == nullptr ? nullptr : found->if_object();
  if (attached == nullptr) return networks;
  for (const auto& member : *attached) {
    networks.emplace(member.key());
    FieldReader end_point(member.value(), "a network of a container");
    auto id = end_point.optional_text("NetworkID");
    if (!id.empty()) networks.insert(std::move(id));
  }
  return networks;
}

// What a container mounts of one type, by name. An anonymous volume has a name, too; an image has the one that was
// asked for.
std::set<std::string> read_mounts(const json::value& container, std::string_view type) {
  std::set<std::string> names;
  const auto* mounts = FieldReader(container, "a container").find("Mounts");
  const auto* list = mounts == nullptr ? nullptr : mounts->if_array();
  if (list == nullptr) return names;
  for (const auto& mount : *list) {
    FieldReader fields(mount, "a mount");
    if (fields.optional_text("Type") != type) continue;
    auto name = fields.optional_text("Name");
    if (!name.empty()) names.insert(std::move(name));
  }
  return names;
}

// The first of its names is its own; further ones are of links.
std::string read_name(FieldReader& fields) {
  for (const auto& name : fields.optional_list("Names")) {
    if (name.find('/', 1) == std::string::npos) return name.starts_with('/') ? name.substr(1) : name;
  }
  return {};
}

Result<ports::ContainerRecord> read_container(const json::value& value) {
  FieldReader fields(value, "a container");
  ports::ContainerRecord container;
  container.id = fields.name("Id");
  container.name = read_name(fields);
  container.image = fields.text("Image");
  container.image_id = fields.text("ImageID");
  container.state = read_state(fields, "State");
  container.created = read_seconds(fields, "Created");
  container.labels = fields.optional_texts("Labels");
  container.networks = read_networks(value);
  container.volumes = read_mounts(value, "volume");
  container.mounted_images = read_mounts(value, "image");
  if (auto read = fields.result(); !read) return std::move(read).error();
  return container;
}

// " Parents", with a blank, from 1.42 on; before there was but one.
std::vector<std::string> read_parents(FieldReader& fields) {
  auto parents = fields.optional_list(" Parents");
  if (parents.empty()) parents = fields.optional_list("Parents");
  auto parent = fields.optional_text("Parent");
  if (parents.empty() && !parent.empty()) parents.push_back(std::move(parent));
  return parents;
}

Result<policy::CacheRecord> read_cache_record(const json::value& value) {
  FieldReader fields(value, "a cache record");
  policy::CacheRecord record;
  record.id = fields.name("ID");
  record.size = fields.number("Size");
  record.in_use = fields.flag("InUse");
  record.shared = fields.flag("Shared");
  const auto created = read_time(fields, "CreatedAt");
  const auto used = fields.find("LastUsedAt") == nullptr ? created : read_time(fields, "LastUsedAt");
  record.last_used = std::max(created, used);  // Go's zero time, too, means never
  record.parents = read_parents(fields);
  record.created = created;
  record.uses = static_cast<std::uint64_t>(std::max<std::int64_t>(fields.optional_number("UsageCount"), 0));
  record.description = fields.optional_text("Description");
  record.type = fields.optional_text("Type");
  if (auto read = fields.result(); !read) return std::move(read).error();
  return record;
}

// Lists that may be very long, read while they are parsed. A list is right as a whole, or an error.
template <class T>
class Records final : public ListReader {
 public:
  Records(Result<T> (*read)(const json::value&), std::size_t lists) : read_(read), lists_(lists) {}

  void begin(std::size_t list) override { lists_[list] = List{}; }
  void element(std::size_t list, const json::value& element) override {
    auto& [records, failure] = lists_[list];
    if (failure) return;
    auto record = read_(element);
    if (record) {
      records.push_back(*std::move(record));
    } else {
      failure = std::move(record).error().with_context(format("record {}", records.size() + 1));
    }
  }
  // `left`: what the parser left of it.
  Result<std::vector<T>> take(std::size_t list, const json::value& left) {
    if (!left.is_array()) return Error(Errc::kProtocol, "not a list");
    auto& [records, failure] = lists_[list];
    if (failure) return *std::move(failure);
    return std::move(records);
  }

 private:
  struct List {
    std::vector<T> records;
    std::optional<Error> failure;
  };
  Result<T> (*read_)(const json::value&);
  std::vector<List> lists_;
};

using CacheRecords = Records<policy::CacheRecord>;
enum CacheLists : std::uint8_t { kNewList, kOldList };

// Where the records are: below BuildCacheUsage.Items from 1.52 on, in BuildCache before. Null is none, but an engine
// that tells of bytes without records was asked wrongly.
Result<std::vector<policy::CacheRecord>> read_usage(const json::value& root, CacheRecords& lists) {
  FieldReader fields(root, "the disk usage");
  const auto* usage = fields.find("BuildCacheUsage");
  if (usage != nullptr && usage->is_object() && usage->get_object().contains("Items")) {
    FieldReader cache(*usage, "BuildCacheUsage");
    if (const auto* items = cache.find("Items")) return lists.take(kNewList, *items);
  }
  if (const auto* records = fields.find("BuildCache")) return lists.take(kOldList, *records);
  if (usage != nullptr) {
    FieldReader cache(*usage, "BuildCacheUsage");
    const auto bytes = cache.optional_number("TotalSize");
    if (bytes > 0) cache.fail(format("tells of {} bytes but lists no records", bytes));
    if (auto read = cache.result(); !read) return std::move(read).error();
    return std::vector<policy::CacheRecord>{};
  }
  const auto* object = root.if_object();
  if (object == nullptr || !object->contains("BuildCache")) fields.fail("has neither BuildCache nor BuildCacheUsage");
  if (auto read = fields.result(); !read) return std::move(read).error();
  return std::vector<policy::CacheRecord>{};
}

}  // namespace

policy::ContainerState read_state(FieldReader& fields, std::string_view name) {
  const auto text = fields.text(name);
  const auto state = state_of(text);
  if (!state) fields.fail(format("is in the unknown state \"{}\"", text));
  return state.value_or(policy::ContainerState::kDead);
}

WallTime read_time(FieldReader& fields, std::string_view name) {
  const auto time = parse_rfc3339(fields.text(name));
  if (!time) fields.fail(format("has a {} that is no time", name));
  return time ? *time : WallTime{};
}

Result<std::vector<ports::ImageRecord>> decode_images(std::string_view text) {
  Records<ports::ImageRecord> images(read_image, 1);
  const auto root = parse_lists(text, {ListPath{}}, images);
  if (!root) return Error(root.error()).with_context("the list of images");
  return images.take(0, *root).with_context("the list of images");
}

Result<policy::LayerChain> decode_layers(std::string_view text) {
  auto root = parse_json(text);
  if (!root) return std::move(root).error().with_context("an image's description");
  FieldReader image(*root, "the image");
  policy::LayerChain layers;
  if (const auto* rootfs = image.find("RootFS")) {
    FieldReader fields(*rootfs, "the root filesystem");
    for (const auto& layer : fields.optional_list("Layers")) layers.push_back(policy::layer_number(layer));
    if (auto read = fields.result(); !read) return std::move(read).error().with_context("an image's description");
  }
  if (auto read = image.result(); !read) return std::move(read).error().with_context("an image's description");
  return layers;
}

Result<std::set<std::string>> decode_mounted_images(std::string_view text) {
  auto root = parse_json(text);
  if (!root) return std::move(root).error().with_context("a container's description");
  if (!root->is_object()) return Error(Errc::kProtocol, "a container's description: not an object");
  return read_mounts(*root, "image");
}

Result<std::vector<ports::ContainerRecord>> decode_containers(std::string_view text) {
  auto root = parse_json(text);
  if (!root) return std::move(root).error().with_context("the list of containers");
  return read_list(*root, read_container).with_context("the list of containers");
}

Result<std::vector<policy::CacheRecord>> decode_cache(std::string_view text) {
  CacheRecords records(read_cache_record, 2);
  const auto root = parse_lists(text, {{"BuildCacheUsage", "Items"}, {"BuildCache"}}, records);
  if (!root) return Error(root.error()).with_context("the build cache");
  return read_usage(*root, records).with_context("the build cache");
}

}  // namespace buildwarden::engine
