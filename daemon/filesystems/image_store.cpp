#include "daemon/filesystems/image_store.h"

#include <chrono>

#include "common/containerd_stores.h"
#include "common/format.h"
#include "common/text_list.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

constexpr Duration kBetweenStoreLooks = std::chrono::minutes{1};
constexpr Duration kStoreDeadline = std::chrono::seconds{10};

using Stores = std::vector<std::string>;

std::string key_of(const ports::EngineIdentity& engine) {
  return format("{} {} {} {}", engine.id, engine.root_dir, engine.snapshotter, engine.containerd);
}

ports::Event store_event(const ports::ImageStoreView& store) {
  ports::Event event;
  event.kind = "disk.image_store";
  if (store.unknown.empty()) {
    event.rule = "found";
    event.reason = format("containerd has the engine's images in {}.", join(store.folders, " and "));
    event.fields.emplace_back("folders", join(store.folders, " and "));
    return event;
  }
  event.rule = "unknown";
  event.severity = ports::Severity::kWarning;
  event.reason = format(
      "containerd has the engine's images, and where is not known ({}): until it is, no image, ended container or "
      "build "
      "cache of the engine is deleted.",
      store.unknown);
  return event;
}

}  // namespace

ImageStore::ImageStore(Parts parts) : parts_(std::move(parts)) {
  if (!parts_.find) {
    parts_.find = [](const std::string& socket, const std::string& snapshotter) {
      return containerd_stores(socket, snapshotter);
    };
  }
}

asio::awaitable<void> ImageStore::turn() {
  const auto status = parts_.engine.status();
  const auto& engine = status.identity;
  auto key = key_of(engine);
  // While the engine is away its containerd may be, too: what was found stays.
  if (!status.up && key == key_) co_return;
  if (engine.snapshotter.empty()) {
    note(std::move(key), {});
    co_return;
  }
  std::function<Result<Stores>()> work = [find = parts_.find, socket = engine.containerd, name = engine.snapshotter] {
    return find(socket, name);
  };
  auto stores = co_await parts_.workers.compute<Stores>(std::move(work), kStoreDeadline);
  if (loop_timer_.stopped()) co_return;
  ports::ImageStoreView found;
  // A containerd that starts anew has its disk still: it stays watched.
  if (!stores && key == key_) found.folders = found_.folders;
  if (!stores) found.unknown = stores.error().message();
  if (stores) found.folders = *std::move(stores);
  note(std::move(key), std::move(found));
}

void ImageStore::note(std::string key, ports::ImageStoreView found) {
  const bool same_place = found.folders == found_.folders && found.unknown.empty() == found_.unknown.empty();
  const bool same = key == key_ && same_place;
  key_ = std::move(key);
  found_ = std::move(found);
  const bool is_news = !found_.folders.empty() || !found_.unknown.empty();
  auto event = store_event(found_);
  if (is_news && event.reason != told_) {
    told_ = event.reason;
    parts_.journal.record(std::move(event));
  }
  if (!same && parts_.on_change) parts_.on_change();
}

EngineHome ImageStore::home() const {
  const auto engine = parts_.engine.status().identity;
  if (engine.root_dir.empty()) {
    const auto& root = parts_.settings.engine.data_root;
    return {root, {}, false, root == EngineSettings{}.data_root};
  }
  if (engine.snapshotter.empty()) return {engine.root_dir, {}, false};
  if (key_ != key_of(engine)) return {engine.root_dir, {}, true};
  return {engine.root_dir, found_.folders, !found_.unknown.empty()};
}

ports::ImageStoreView ImageStore::view() const {
  const auto engine = parts_.engine.status().identity;
  if (engine.snapshotter.empty()) return {};
  if (key_ != key_of(engine)) return {{}, "not looked up yet"};
  return found_;
}

asio::awaitable<void> ImageStore::run() { return loop_timer_.run(loop()); }

asio::awaitable<void> ImageStore::loop() {
  while (!loop_timer_.stopped()) {
    co_await turn();
    co_await loop_timer_.sleep_for(kBetweenStoreLooks);
  }
}

}  // namespace buildwarden::disk
