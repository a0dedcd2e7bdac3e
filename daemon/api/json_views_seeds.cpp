#include "daemon/api/json_views_seeds.h"

#include <algorithm>
#include <chrono>

#include "daemon/api/json_parts.h"

namespace buildwarden::api {
namespace json = boost::json;

namespace {

double whole(Duration duration) { return std::chrono::duration<double>(duration).count(); }

json::value manifest_json(const ports::SeedView& seed) {
  const auto& there = seed.there;
  if (!there) return nullptr;
  json::object object;
  object["created_at"] = time_json(there->created_at);
  object["age_seconds"] = whole(seed.age.value_or(Duration{0}));
  object["bytes"] = there->unpacked_bytes;
  object["archive_bytes"] = policy::archive_bytes(*there);
  object["entries"] = there->entries;
  object["architecture"] = text(there->architecture);
  object["buildkit"] = text(there->buildkit);
  object["snapshotter"] = text(there->snapshotter);
  object["engine"] = text(there->engine);
  object["instance"] = text(there->instance);
  json::array images;
  for (const auto& image : there->images) images.push_back(text(image));
  object["images"] = std::move(images);
  return object;
}

}  // namespace

json::object seeds_json(const ports::SeedsView& view) {
  json::array seeds;
  for (const auto& seed : view.seeds) {
    json::object object;
    object["builder"] = text(seed.builder);
    object["state"] = text(seed.state);
    object["reason"] = text(seed.reason);
    object["rule"] = text(seed.rule);
    object["done_bytes"] = seed.done;
    object["total_bytes"] = seed.of;
    object["seed"] = manifest_json(seed);
    object["asked_at"] = time_json(seed.asked_at);
    object["refusal"] = seed.refusal.empty() ? json::value(nullptr) : json::value(text(seed.refusal));
    object["restored_from"] = seed.restored_from.empty() ? json::value(nullptr) : json::value(text(seed.restored_from));
    seeds.push_back(std::move(object));
  }
  json::object object;
  object["location"] = text(view.location);
  object["save"] = text(view.save);
  object["seeds"] = std::move(seeds);
  return object;
}

json::object seed_done_json(const std::string& builder, const ports::SeedDone& done) {
  json::object object;
  object["builder"] = text(builder);
  object["dry_run"] = done.dry_run;
  object["bytes"] = done.bytes;
  object["archive_bytes"] = done.archive_bytes;
  object["entries"] = done.entries;
  object["reason"] = text(done.reason);
  object["rule"] = text(done.rule);
  object["seconds"] = whole(done.took);
  return object;
}

}  // namespace buildwarden::api
