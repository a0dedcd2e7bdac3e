// Builders as the API shows them.
#include <chrono>

#include "daemon/api/json_parts.h"
#include "daemon/api/json_views.h"

namespace buildwarden::api {
namespace json = boost::json;

namespace {

// "linux/amd64" also stands for its variants, "linux/amd64/v2".
bool is_of(const std::string& platform, const std::string& family) {
  return platform == family || platform.starts_with(family + "/");
}

std::string kind_of(const std::string& platform, const ports::EmulatorsView& emulators) {
  if (!emulators.native.empty() && is_of(platform, emulators.native)) return "native";
  for (const auto& one : emulators.emulators) {
    if (!is_of(platform, one.platform)) continue;
    if (one.state == policy::PlatformState::kNative) return "native";
    if (one.state == policy::PlatformState::kProven) return "kernel";
    return one.state == policy::PlatformState::kUnknown ? "unknown" : "bundled";
  }
  return "unknown";
}

}  // namespace

json::object builder_json(const ports::BuilderView& builder, const ports::EmulatorsView& emulators) {
  json::object object;
  object["name"] = text(builder.name);
  object["state"] = to_string(builder.state);
  object["reason"] = text(builder.reason);
  object["container"] = text(builder.container);
  object["image"] = text(builder.image);
  object["endpoint"] = text(builder.endpoint);
  object["fronts"] = texts(builder.fronts);
  object["leases"] = texts(builder.leases);
  object["heals"] = builder.heals;
  json::object reasons;
  for (const auto& [reason, times] : builder.heals_by_reason) reasons[reason] = times;
  object["heals_by_reason"] = std::move(reasons);
  object["last_heal"] = nullptr;
  if (builder.last_heal_at) {
    json::object last;
    last["at"] = time_json(builder.last_heal_at);
    last["reason"] = text(builder.last_heal_reason);
    object["last_heal"] = std::move(last);
  }
  object["cache_bytes"] = builder.cache_bytes ? json::value(*builder.cache_bytes) : json::value(nullptr);
  object["running_builds"] = builder.running_builds ? json::value(*builder.running_builds) : json::value(nullptr);
  object["volume"] = text(builder.volume);
  object["version"] = builder.version.empty() ? json::value(nullptr) : json::value(text(builder.version));
  object["platforms"] = texts(builder.platforms);
  json::object kinds;
  for (const auto& platform : builder.platforms) kinds[text(platform)] = kind_of(platform, emulators);
  object["platform_kinds"] = std::move(kinds);
  return object;
}

json::array builders_json(const ports::BuildersView& view, const ports::EmulatorsView& emulators) {
  json::array list;
  for (const auto& builder : view.builders) list.push_back(builder_json(builder, emulators));
  return list;
}

json::object engine_builder_json(const ports::EngineStatus& engine) {
  json::object object;
  object["name"] = "engine";
  object["state"] = to_string(engine.up ? policy::BuilderState::kWarm : policy::BuilderState::kDown);
  object["reason"] = engine.up ? json::value("the engine answers") : json::value(text(engine.reason));
  const auto& version = engine.identity.version;
  object["version"] = version.empty() ? json::value(nullptr) : json::value(text(version));
  return object;
}

json::object recreated_json(const std::string& builder, const ports::Recreated& made) {
  json::object object;
  object["builder"] = text(builder);
  object["dry_run"] = made.dry_run;
  object["steps"] = texts(made.steps);
  object["reason"] = text(made.reason);
  object["rule"] = text(made.rule);
  object["seconds"] = std::chrono::duration<double>(made.took).count();
  return object;
}

}  // namespace buildwarden::api
