#include "daemon/builders/handout.h"

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>

#include "common/format.h"
#include "common/loop_timer.h"
#include "daemon/builders/names.h"
#include "daemon/builders/remote_cache.h"

namespace buildwarden::builders {
namespace {

namespace json = boost::json;

constexpr Duration kLongestHold{900};  // below a second: the API would answer 202 then
constexpr Duration kLookAgain{20};

// buildx's own store format, unchanged since 0.8. Driver `remote`: nothing that a job does to this instance (rm, stop,
// bootstrap) reaches the builder, and no Docker socket is needed.
std::string instance_file(const BuilderSettings& builder, const PathSettings& paths, bool load) {
  const auto name = instance_name(builder.name);
  json::object node;
  node["Name"] = name + "0";
  node["Endpoint"] = endpoint(paths, builder.name);
  // As `buildx create --driver-opt default-load=true` stores it; buildx before 0.14 refuses an instance that has it.
  if (load) node["DriverOpts"] = json::object{{"default-load", "true"}};
  json::object instance;
  instance["Name"] = name;
  instance["Driver"] = "remote";
  instance["Nodes"] = json::array{node};
  instance["Dynamic"] = false;
  return json::serialize(instance);
}

// The cache of the builder that plain builds use, else of the first one that has any.
const CacheSettings* cache_of(const std::vector<const BuilderSettings*>& granted, const BuilderSettings* used) {
  if (used != nullptr) return &used->cache;
  const auto found = std::find_if(granted.begin(), granted.end(),
                                  [](const BuilderSettings* one) { return one->cache.type != CacheType::kNone; });
  return found == granted.end() ? nullptr : &(*found)->cache;
}

// Both, so that no two pipelines and no two checkouts of one share a context.
bool names_context(const ports::GrantRequest& request) {
  return !request.pipeline.empty() && !request.checkout_path.empty();
}

void add_note(ports::Grant& grant, const std::string& note) {
  if (note.empty()) return;
  grant.note += (grant.note.empty() ? "" : "; ") + note;
}

}  // namespace

Handout::Handout(std::vector<BuilderSettings> builders, PathSettings paths, ContextIds* contexts)
    : builders_(std::move(builders)), paths_(std::move(paths)), contexts_(contexts) {}

const BuilderSettings* Handout::find(const std::string& name_or_alias) const {
  for (const auto& builder : builders_) {
    const auto& aliases = builder.aliases;
    const bool alias = std::find(aliases.begin(), aliases.end(), name_or_alias) != aliases.end();
    if (builder.name == name_or_alias || alias) return &builder;
  }
  return nullptr;
}

Error Handout::unknown_builder(const std::string& field, const std::string& name) const {
  std::string known;
  for (const auto& builder : builders_) {
    known += (known.empty() ? "" : ", ") + builder.name;
    for (const auto& alias : builder.aliases) known += ", " + alias;
  }
  return {Errc::kInvalid, format("{}: no builder \"{}\" is configured; there {}", field, name,
                                 known.empty() ? std::string("is none") : "are " + known)};
}

Result<std::vector<const BuilderSettings*>> Handout::chosen(const ports::GrantRequest& request) const {
  std::vector<const BuilderSettings*> granted;
  const auto add = [&](const BuilderSettings* one) {
    if (std::find(granted.begin(), granted.end(), one) == granted.end()) granted.push_back(one);
  };
  for (const auto& name : request.builders) {
    const auto* builder = find(name);
    if (builder == nullptr) return unknown_builder("builders", name);
    add(builder);
  }
  if (request.builders.empty()) {
    for (const auto& builder : builders_) add(&builder);
  }
  if (!request.use.empty()) {
    const auto* used = find(request.use);
    if (used == nullptr) return unknown_builder("use", request.use);
    add(used);
  }
  return granted;
}

Result<ports::Grant> Handout::grant(const ports::GrantRequest& request) {
  if (!is_cache_name(request.cache_name)) {
    return Error(Errc::kInvalid, "cache_name: at most 128 letters, digits, '_', '.' and '-', not led by '.' or '-'");
  }
  auto granted = chosen(request);
  if (!granted) return granted.error();
  ports::Grant grant;
  add_note(grant, withhold(*granted));
  std::set<std::string> names;
  for (const auto* builder : *granted) {
    names.insert(builder->name);
    grant.files.push_back({.path = "instances/" + instance_name(builder->name),
                           .mode = 0600,
                           .content = instance_file(*builder, paths_, request.load)});
  }
  const auto* used = request.use.empty() ? nullptr : find(request.use);
  if (std::find(granted->begin(), granted->end(), used) == granted->end()) used = nullptr;
  if (const auto* cache = cache_of(*granted, used)) grant.env = cache_env(*cache, request.cache_name);
  if (used != nullptr) grant.env["BUILDX_BUILDER"] = instance_name(used->name);
  if (request.reuse_context && !grant.files.empty()) reuse_context(request, grant);
  leases_[request.job] = std::move(names);
  return grant;
}

boost::asio::awaitable<void> Handout::prepare(ports::GrantRequest request) {
  if (request.reuse_context && names_context(request) && contexts_ != nullptr) co_await contexts_->prepare();
  if (seeds_) {
    for (const auto& builder : named_builders(request)) co_await seeds_(builder, request.progress);
  }
  if (!is_any_healing(request)) co_return;
  const auto end = std::chrono::steady_clock::now() + kLongestHold;
  while (is_any_healing(request) && std::chrono::steady_clock::now() < end) {
    const bool whole = co_await sleep_for(kLookAgain);
    if (!whole) co_return;
  }
}

// Only of those that the job names: who is handed all of them may not build at all.
std::vector<std::string> Handout::named_builders(const ports::GrantRequest& request) const {
  auto names = request.builders;
  if (!request.use.empty()) names.push_back(request.use);
  std::vector<std::string> builders;
  for (const auto& name : names) {
    if (const auto* builder = find(name)) builders.push_back(builder->name);
  }
  return builders;
}

bool Handout::is_any_healing(const ports::GrantRequest& request) const {
  const auto names = named_builders(request);
  return std::any_of(names.begin(), names.end(), [this](const std::string& name) { return is_unready(name); });
}

// One that does not answer may have ended a moment ago, before its event comes.
bool Handout::is_unready(const std::string& builder) const {
  return (healing_ && healing_(builder)) || (withheld_ && !withheld_(builder).empty());
}

void Handout::reuse_context(const ports::GrantRequest& request, ports::Grant& grant) const {
  if (!names_context(request)) {
    add_note(grant, "the build context is not reused, which needs pipeline and checkout_path");
    return;
  }
  const auto id = contexts_ == nullptr ? std::nullopt : contexts_->of(request.pipeline, request.checkout_path);
  if (id) {
    grant.files.push_back({.path = ".buildNodeID", .mode = 0600, .content = *id});
  } else {
    add_note(grant, "the build context is not reused, since the host's secret is not there");
  }
}

std::string Handout::withhold(std::vector<const BuilderSettings*>& granted) const {
  std::string notes;
  std::erase_if(granted, [&](const BuilderSettings* builder) {
    const auto why = withheld_ ? withheld_(builder->name) : std::string();
    if (why.empty()) return false;
    notes += format("{}builder {} is not handed out: {}", notes.empty() ? "" : "; ", builder->name, why);
    return true;
  });
  return notes;
}

void Handout::release(const std::string& job) {
  const auto ended = leases_.extract(job);
  if (ended.empty() || !left_) return;
  for (const auto& builder : ended.mapped()) {
    if (leases_on(builder).empty()) left_(builder);
  }
}

std::vector<std::string> Handout::leases_on(const std::string& builder) const {
  std::vector<std::string> jobs;
  for (const auto& [job, names] : leases_) {
    if (names.contains(builder)) jobs.push_back(job);
  }
  return jobs;
}

}  // namespace buildwarden::builders
