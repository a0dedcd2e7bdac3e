// Images: the list, removal, and how they come onto the host.
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include "common/cooperative_yield.h"
#include "common/foreign_file.h"
#include "common/format.h"
#include "daemon/engine/decode.h"
#include "daemon/engine/encode.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/limits.h"

namespace buildwarden::engine {
namespace {

constexpr Duration kLoadDeadline = std::chrono::minutes{10};
constexpr Duration kPullDeadline = std::chrono::minutes{30};
constexpr Duration kPullSilence = std::chrono::minutes{2};
constexpr Duration kCredentialsDeadline = std::chrono::seconds{5};
constexpr Bytes kLongestConfig = kMiB;

struct FileLogin : RegistryLogin {
  std::string why_not_asked;  // the helper
};

// A file that others may write to may name a login, but no program for root to run.
Result<FileLogin> read_login(const std::string& path, const std::string& registry) {
  auto file = read_foreign_file(path, FileOwner::kRoot, kLongestConfig);
  std::string not_roots;
  if (!file && file.error().code() == Errc::kDenied) {
    not_roots = file.error().message();
    file = read_foreign_file(path, FileOwner::kAnybody, kLongestConfig);
  }
  if (!file && file.error().code() == Errc::kNotFound) return FileLogin{};
  if (!file) return std::move(file).error();
  auto found = registry_login(file->text, registry);
  if (!found) return std::move(found).error().with_context(path);
  FileLogin login;
  login.auth = std::move(found->auth);
  login.helper = std::move(found->helper);
  if (!login.helper.empty() && !not_roots.empty()) {
    login.why_not_asked = format("docker-credential-{} is not asked: {}", login.helper, not_roots);
  }
  return login;
}

// The last line of progress may tell of an error although the status was 200.
Result<void> check_progress(std::string_view lines) {
  while (!lines.empty()) {
    const auto end = lines.find('\n');
    auto line = lines.substr(0, end);
    lines = end == std::string_view::npos ? std::string_view() : lines.substr(end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    if (auto fine = decode_progress(line); !fine) return fine;
  }
  return {};
}

// To the end of the stream; a pull that says nothing for long is stuck.
ports::Async<void> follow_pull(std::shared_ptr<HttpStream> progress) {
  const auto started = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - started < kPullDeadline) {
    auto line = co_await progress->next_line(kPullSilence);
    if (!line && progress->complete()) co_return Result<void>{};
    if (!line) co_return std::move(line).error();
    if (line->empty()) continue;
    auto fine = decode_progress(*line);
    if (!fine) co_return fine;
  }
  co_return Error(Errc::kTimeout, format("not done after {}", short_duration(kPullDeadline)));
}

}  // namespace

ports::Async<std::vector<ports::ImageRecord>> Engine::list_images() {
  Call list;
  list.target = "/images/json";
  list.limits.deadline = kListDeadline;
  list.limits.max_body = kLongListLimit;
  auto images = co_await transport_.ask(std::move(list), &decode_images);
  if (!images) co_return std::move(images).with_context("listing images");
  auto learned = co_await learn_layers(*images);
  if (!learned) co_return std::move(learned).error().with_context("listing images");
  CooperativeYield others;
  for (auto& image : *images) {
    const auto known = layers_.find(image.id);
    if (known != layers_.end()) image.layers = known->second;
    co_await others.yield();
  }
  co_return images;
}

// An image that the engine cannot describe has none: it is nobody's base. Asked again with each list.
ports::Async<void> Engine::learn_layers(const std::vector<ports::ImageRecord>& images) {
  const auto guard = co_await layers_turn_.lock();
  if (!guard) co_return Error(Errc::kCancelled, "cancelled while others ask for layers");
  std::map<std::string, policy::LayerChain> current;
  CooperativeYield others;
  for (const auto& image : images) {
    co_await others.yield();
    const auto known = layers_.find(image.id);
    if (known != layers_.end()) {
      current.insert(*known);
      continue;
    }
    Call inspect;
    inspect.target = format("/images/{}/json", image.id);
    inspect.limits.deadline = kListDeadline;
    auto layers = co_await transport_.ask(std::move(inspect), &decode_layers);
    if (!layers && (!transport_.version() || layers.error().code() == Errc::kTimeout)) {
      layers_.merge(current);  // what was learned is not asked for again
      co_return std::move(layers).error();
    }
    if (layers && !layers->empty()) current.emplace(image.id, *std::move(layers));
  }
  layers_ = std::move(current);
  co_return Result<void>{};
}

ports::Async<void> Engine::remove_image(std::string reference) {
  const auto doing = format("removing image {}", reference);
  const auto name = encode_name(reference);
  if (!name) co_return Error(name.error()).with_context(doing);
  Call remove;
  remove.method = "DELETE";
  remove.target = format("/images/{}", *name);
  remove.limits.deadline = kRemoveDeadline;
  auto removed = co_await transport_.call(std::move(remove));
  if (!removed) co_return std::move(removed).error().with_context(doing);
  co_return Result<void>{};
}

ports::Async<std::string> Engine::image_id(std::string reference) {
  const auto doing = format("inspecting image {}", reference);
  const auto name = encode_name(reference);
  if (!name) co_return Error(name.error()).with_context(doing);
  Call inspect;
  inspect.target = format("/images/{}/json", *name);
  inspect.limits.deadline = kListDeadline;
  auto id = co_await transport_.ask(std::move(inspect), &decode_id);
  co_return std::move(id).with_context(doing);
}

ports::Async<void> Engine::load_archive(std::string path) {
  const auto doing = format("loading {}", path);
  Call load;
  load.method = "POST";
  load.target = "/images/load?quiet=1";
  load.body_file = path;
  load.limits.deadline = kLoadDeadline;
  auto loaded = co_await transport_.call(std::move(load));
  if (!loaded) co_return std::move(loaded).error().with_context(doing);
  co_return check_progress(loaded->body).with_context(doing);
}

ports::Async<void> Engine::pull(std::string reference) {
  auto doing = format("pulling {}", reference);
  const auto name = parse_image_name(reference);
  if (!name) co_return Error(name.error()).with_context(doing);
  const auto login = co_await credentials(name->registry);
  if (!login) co_return Error(login.error()).with_context(doing);
  if (!login->problem.empty()) doing += format(" without a login ({})", login->problem);
  const Query query = {{"fromImage", name->repository}, {"tag", name->tag}};
  Call create;
  create.method = "POST";
  create.target = "/images/create" + encode_query(query);
  create.limits.deadline = kPullSilence;
  if (!login->auth.empty()) create.headers.emplace_back("X-Registry-Auth", login->auth);
  auto progress = co_await transport_.stream(std::move(create));
  if (!progress) co_return std::move(progress).error().with_context(doing);
  auto pulled = co_await follow_pull(*std::move(progress));
  co_return std::move(pulled).with_context(doing);
}

ports::Async<Engine::Credentials> Engine::credentials(std::string registry) {
  Credentials none;
  if (settings_.docker_config.empty()) co_return none;
  std::function<Result<FileLogin>()> work = [path = settings_.docker_config + "/config.json", registry] {
    return read_login(path, registry);
  };
  auto login = co_await workers_.compute<FileLogin>(work, kCredentialsDeadline);
  if (!login) co_return std::move(login).error();
  Credentials known{login->auth, login->why_not_asked};
  if (login->helper.empty() || !known.problem.empty()) co_return known;
  HelperQuestion question{login->helper, helper_server(registry)};
  auto told = co_await helpers_.ask(std::move(question));
  if (!told && told.error().code() == Errc::kCancelled) co_return std::move(told).error();
  if (!told) known.problem = told.error().message();
  if (told) known.auth = *std::move(told);
  co_return known;
}

}  // namespace buildwarden::engine
