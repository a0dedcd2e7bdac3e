// An engine's images, containers and build cache in memory, as the rooms of the disk see them. Deleting gives bytes
// back.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "daemon/ports/disk.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/worth.h"

namespace buildwarden::testing {

class FakeImageEngine final : public ports::EngineState,
                              public ports::Images,
                              public ports::Containers,
                              public ports::BuildCache,
                              public ports::InUse {
 public:
  FakeImageEngine() {
    engine.up = true;
    engine.identity.id = "engine-1";
    engine.identity.root_dir = "/var/lib/docker";
  }

  // As the ledger is told of them.
  [[nodiscard]] std::shared_ptr<const std::vector<std::string>> ids() const {
    auto sorted = std::make_shared<std::vector<std::string>>();
    for (const auto& image : images) sorted->push_back(image.id);
    std::sort(sorted->begin(), sorted->end());
    return sorted;
  }

  // ---- what the test sets and sees
  ports::EngineStatus engine;
  std::vector<ports::ImageRecord> images;
  std::vector<ports::ContainerRecord> containers;
  std::vector<policy::CacheRecord> records;
  ports::InUseSet in_use_set;
  std::map<std::string, Error> fail;    // by call: "list", "remove", "records", "prune", "containers"
  std::vector<std::string> removed;     // what remove_image() was asked for
  std::vector<Duration> pruned_unused;  // what prune_cache() was asked for
  std::function<void()> before_remove;  // the world moves on
  std::function<void()> on_list;        // of images
  std::function<void()> on_status;
  std::function<void(Bytes)> freed = [](Bytes) {};

  void add_image(const std::string& id, const std::vector<std::string>& tags, Bytes size) {
    ports::ImageRecord image;
    image.id = id;
    image.tags = tags;
    image.size = size;
    images.push_back(std::move(image));
  }
  void add_container(const std::string& name, const std::string& image_id,
                     policy::ContainerState state = policy::ContainerState::kRunning) {
    ports::ContainerRecord container;
    container.name = name;
    container.image_id = image_id;
    container.state = state;
    containers.push_back(container);
  }

  // ---- ports
  [[nodiscard]] ports::EngineStatus status() const override {
    if (on_status) on_status();
    return engine;
  }
  [[nodiscard]] ports::InUseSet now() const override { return in_use_set; }
  ports::Async<std::vector<ports::ImageRecord>> list_images() override {
    if (on_list) on_list();
    if (const auto at = fail.find("list"); at != fail.end()) co_return at->second;
    co_return images;
  }
  ports::Async<std::string> image_id(std::string reference) override {
    const auto* image = find(reference);
    if (image == nullptr) co_return Error(Errc::kNotFound, "no such image: " + reference);
    co_return image->id;
  }
  ports::Async<void> remove_image(std::string reference) override {
    if (before_remove) before_remove();
    removed.push_back(reference);
    if (const auto at = fail.find("remove"); at != fail.end()) co_return at->second;
    auto* image = find(reference);
    if (image == nullptr) co_return Error(Errc::kNotFound, "no such image: " + reference);
    for (const auto& container : containers) {
      if (container.image_id == image->id) co_return Error(Errc::kConflict, "used by " + container.name);
    }
    std::erase(image->tags, reference);
    std::erase(image->digests, reference);
    if (reference.find('@') == std::string::npos) forget_digests(*image, reference);
    if (image->is_dangling()) {
      freed(image->size);
      std::erase_if(images, [id = image->id](const auto& one) { return one.id == id; });
    }
    co_return Result<void>{};
  }
  ports::Async<std::vector<ports::ContainerRecord>> list_containers() override {
    if (const auto at = fail.find("containers"); at != fail.end()) co_return at->second;
    co_return containers;
  }
  ports::Async<policy::ObservedContainer> inspect_container(std::string) override {
    co_return policy::ObservedContainer{};
  }
  ports::Async<std::set<std::string>> mounted_images(std::string id) override {
    for (const auto& container : containers) {
      if (container.id == id) co_return container.mounted_images;
    }
    co_return Error(Errc::kNotFound, "no such container: " + id);
  }
  ports::Async<std::vector<policy::CacheRecord>> cache_records() override {
    if (const auto at = fail.find("records"); at != fail.end()) co_return at->second;
    co_return records;
  }
  ports::Async<ports::CachePrune> prune_cache(std::vector<std::string> ids, Duration unused_for) override {
    pruned_unused.push_back(unused_for);
    if (const auto at = fail.find("prune"); at != fail.end()) co_return at->second;
    ports::CachePrune done;
    for (const auto& id : ids) {
      const auto record = std::find_if(records.begin(), records.end(), [&id](const auto& one) { return one.id == id; });
      if (record == records.end()) continue;
      done.freed += record->size;
      records.erase(record);
    }
    freed(done.freed);
    co_return done;
  }

 private:
  ports::ImageRecord* find(const std::string& reference) {
    for (auto& image : images) {
      if (image.id == reference) return &image;
      const auto names = image.names();
      if (std::find(names.begin(), names.end(), reference) != names.end()) return &image;
    }
    return nullptr;
  }
  // As an engine does: with the last tag of a repository go its digests.
  static void forget_digests(ports::ImageRecord& image, const std::string& tag) {
    const auto repository = tag.substr(0, tag.rfind(':'));
    for (const auto& other : image.tags) {
      if (other.starts_with(repository + ":")) return;
    }
    std::erase_if(image.digests, [&](const auto& digest) { return digest.starts_with(repository + "@"); });
  }
};

// A ledger's store in memory.
class FakeLedgerStore final : public ports::LedgerStore {
 public:
  std::map<std::string, std::map<std::string, ports::LedgerRow>> rows;  // scope → id → row
  std::string failure;
  ports::Async<std::vector<ports::LedgerRow>> load(std::string scope) override {
    if (!failure.empty()) co_return Error(Errc::kIo, failure);
    std::vector<ports::LedgerRow> all;
    for (const auto& [id, row] : rows[scope]) all.push_back(row);
    co_return all;
  }
  ports::Async<void> save(std::string scope, std::vector<ports::LedgerRow> changed) override {
    if (!failure.empty()) co_return Error(Errc::kIo, failure);
    for (const auto& row : changed) rows[scope][row.id] = row;
    co_return Result<void>{};
  }
  ports::Async<void> forget(std::string scope, std::vector<std::string> ids) override {
    if (!failure.empty()) co_return Error(Errc::kIo, failure);
    for (const auto& id : ids) rows[scope].erase(id);
    co_return Result<void>{};
  }
};

// The same for what was learned of worth.
class FakeWorthStore final : public ports::WorthStore {
 public:
  std::map<std::string, std::map<std::string, ports::WorthRow>> rows;  // scope → id → row
  std::string failure;
  std::function<void()> while_saving;  // or forgetting: what happens before it is done
  ports::Async<std::vector<ports::WorthRow>> load_worth(std::string scope) override {
    if (!failure.empty()) co_return Error(Errc::kIo, failure);
    std::vector<ports::WorthRow> all;
    for (const auto& [id, row] : rows[scope]) all.push_back(row);
    co_return all;
  }
  ports::Async<void> save_worth(std::string scope, std::vector<ports::WorthRow> changed) override {
    if (while_saving) while_saving();
    if (!failure.empty()) co_return Error(Errc::kIo, failure);
    for (const auto& row : changed) rows[scope][row.id] = row;
    co_return Result<void>{};
  }
  ports::Async<void> forget_worth(std::string scope, std::vector<std::string> ids) override {
    if (while_saving) while_saving();
    if (!failure.empty()) co_return Error(Errc::kIo, failure);
    for (const auto& id : ids) rows[scope].erase(id);
    co_return Result<void>{};
  }
};

}  // namespace buildwarden::testing
