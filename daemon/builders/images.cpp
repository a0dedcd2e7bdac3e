#include "daemon/builders/images.h"

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <filesystem>

#include "common/format.h"
#include "common/loop_timer.h"
#include "daemon/policy/backoff.h"

namespace buildwarden::builders {
namespace asio = boost::asio;
namespace {

constexpr Duration kFirstPause = std::chrono::seconds{2};

// Sorted, so that every start tries them in the same order.
std::vector<std::string> archives_in(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::error_code unknown;
    if (at->path().extension() == ".tar" && at->is_regular_file(unknown)) paths.push_back(at->path().string());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::string fingerprint(const std::string& archive, const std::string& reference) {
  std::error_code ignored;  // an archive that went away gives a fingerprint that is never seen again
  const auto size = std::filesystem::file_size(archive, ignored);
  const auto written = std::filesystem::last_write_time(archive, ignored).time_since_epoch().count();
  return format("{} {} {} {}", reference, archive, size, written);
}

asio::awaitable<bool> was_cancelled() {
  const auto state = co_await asio::this_coro::cancellation_state;
  co_return state.cancelled() != asio::cancellation_type::none;
}

}  // namespace

ImageProvider::ImageProvider(ImagePorts ports, std::string folder, Jitter jitter)
    : ports_(ports), folder_(std::move(folder)), jitter_(std::move(jitter)) {}

ports::Async<std::string> ImageProvider::provide(std::string reference) {
  const auto guard = co_await turns_.lock();
  if (!guard) co_return Error(Errc::kCancelled, "cancelled while another image is being brought");
  co_return co_await bring(std::move(reference));
}

ports::Async<std::string> ImageProvider::bring(std::string reference) {
  auto present = co_await ports_.images.image_id(reference);
  if (present || present.error().code() != Errc::kNotFound) co_return present;
  auto loaded = co_await load_from_archives(reference);
  if (!loaded) co_return std::move(loaded).error();
  if (*loaded) co_return co_await ports_.images.image_id(reference);
  co_return co_await pull(std::move(reference));
}

ports::Async<bool> ImageProvider::load_from_archives(std::string reference) {
  const auto archives = archives_in(folder_);
  for (const auto& archive : archives) {
    const auto print = fingerprint(archive, reference);
    if (useless_.contains(print)) continue;
    auto found = co_await load_one(archive, reference);
    if (!found || *found) co_return found;
    useless_.insert(print);
  }
  co_return false;
}

// An archive that cannot be loaded is reported and counts as not holding the image; a lost engine is an error.
ports::Async<bool> ImageProvider::load_one(std::string archive, std::string reference) {
  auto loaded = co_await ports_.source.load_archive(archive);
  if (!loaded) {
    const auto& error = loaded.error();
    if (error.code() == Errc::kUnavailable || error.code() == Errc::kCancelled) co_return error;
    ports_.journal.record({.kind = "builder.image",
                           .severity = ports::Severity::kWarning,
                           .reason = format("{} could not be loaded: {}", archive, error.message()),
                           .rule = "archive_failed",
                           .fields = {{"archive", archive}}});
    co_return false;
  }
  auto id = co_await ports_.images.image_id(reference);
  if (!id && id.error().code() == Errc::kNotFound) co_return false;
  if (!id) co_return std::move(id).error();
  ports_.journal.record({.kind = "builder.image",
                         .reason = format("{} was loaded from {}", reference, archive),
                         .rule = "archive",
                         .fields = {{"image", reference}, {"archive", archive}}});
  co_return true;
}

// A whole scaling group boots within seconds: the first pulls are spread too.
asio::awaitable<void> ImageProvider::first_pause() {
  if (std::exchange(paused_once_, true)) co_return;
  co_await sleep_for(jitter_(kFirstPause));
}

ports::Async<std::string> ImageProvider::pull(std::string reference) {
  const auto before = pulls_[reference];
  const auto now = ports_.clock.now().boot;
  if (before.failures > 0 && now < before.not_before) {
    co_return Error(Errc::kUnavailable, format("{} is not here, and the next pull is {} away: {}", reference,
                                               short_duration(before.not_before - now), before.last_error));
  }
  co_await first_pause();
  if (co_await was_cancelled()) co_return Error(Errc::kCancelled, "cancelled before a pull");
  auto pulled = co_await ports_.source.pull(reference);
  if (!pulled) {
    pull_failed(reference, pulled.error());
    co_return std::move(pulled).with_context(format("pull {}", reference)).error();
  }
  pulls_.erase(reference);
  ports_.journal.record({.kind = "builder.image",
                         .reason = format("{} was pulled", reference),
                         .rule = "pull",
                         .fields = {{"image", reference}}});
  co_return co_await ports_.images.image_id(reference);
}

void ImageProvider::pull_failed(const std::string& reference, const Error& error) {
  auto& pulls = pulls_[reference];
  ++pulls.failures;
  const auto pause = policy::pull_pause(pulls.failures);
  pulls.not_before = ports_.clock.now().boot + pause + jitter_(pause);
  pulls.last_error = error.message();
}

}  // namespace buildwarden::builders
