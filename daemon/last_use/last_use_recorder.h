// Fills the ledger from the engine: its events, and lists where events may be missing.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/loop_timer.h"
#include "common/worker.h"
#include "daemon/last_use/buildx_builder_use.h"
#include "daemon/last_use/last_use_ledger.h"
#include "daemon/last_use/worth_ledger.h"
#include "daemon/ports/engine.h"

namespace buildwarden::disk {

// The wiring passes it what EngineEvents tells. Used on the loop only; must outlive run().
class LastUseRecorder {
 public:
  struct Parts {
    LastUseLedger& ledger;
    ports::Images& images;
    ports::Containers& containers;
    const Clock& clock;
    WorkerPool& workers;
    BuildxBuilderUse* builders = nullptr;  // told each event, too; nothing: jobs' builders are not followed
    // The image that is being pulled ahead of any use: its pull makes it known, not used. "" for none; may be empty.
    std::function<std::string()> pulled_ahead{};
    WorthLedger* worth = nullptr;  // told each event, too; nothing: how often images are used is not counted
  };
  explicit LastUseRecorder(Parts parts);

  void on_event(const ports::EngineEvent& event);
  void on_connected(const ports::EngineIdentity& identity, std::optional<Duration> gap);
  void on_lost();

  // One turn: tells the ledger of a reconnect, lists images and containers, and settles the uses that waited for a
  // list. An error leaves everything as it was, to be tried again.
  boost::asio::awaitable<Result<void>> turn();
  // turn() soon after an event that needs it, and every minute: running containers use their images.
  boost::asio::awaitable<void> run();
  void stop() { loop_timer_.stop(); }
  // Something happened that only a list explains.
  [[nodiscard]] bool wants_listing() const { return listing_wanted_; }

 private:
  struct Use {
    std::string image;  // as the event names it
    WallTime at;
    std::string why;
    bool before_start = false;  // counts only when it is news to the ledger, which may know it from its store
    bool is_begin = true;       // else it goes on: a container that runs uses its image once
    bool runs = false;          // a container was made of it just now
  };
  struct Connection {
    ports::EngineIdentity identity;
    std::optional<Duration> gap;
  };
  [[nodiscard]] bool is_pulled_ahead(const ports::EngineEvent& event) const;
  // The ids that a name may mean: one, several where it is the beginning of an id, none where no list has it.
  [[nodiscard]] std::vector<std::string> ids_of(const std::string& image) const;
  void note(Use use);
  void note_container(const ports::EngineEvent& event);
  // Asks those that were made meanwhile which images they mount: no event tells.
  boost::asio::awaitable<void> look_at_new_containers();
  void wake();
  // What a list of images says, sorted.
  struct Known {
    std::vector<std::pair<std::string, std::string>> names;  // normalised reference or id → id
    std::vector<std::string> ids;
  };
  static Known read(const std::vector<ports::ImageRecord>& images);
  using Listed = std::shared_ptr<std::vector<ports::ImageRecord>>;
  ports::Async<void> learn(Listed images);
  // An image was used when anything was that is built on it. The list is freed on a worker.
  boost::asio::awaitable<void> pass_uses_on(Listed images);
  // Whether a list names it; it is used then.
  bool settle(const Use& use);
  void settle_all();
  void use_containers(const std::vector<ports::ContainerRecord>& containers);

  Parts parts_;
  std::shared_ptr<const Known> known_ = std::make_shared<const Known>();
  std::map<std::string, std::string> images_of_;  // of the containers that were listed last: by id, the image's id
  std::map<std::string, Use> waiting_uses_;       // the last of each image that no list has named yet
  std::set<std::string> unknown_;                 // of those, the ones that the last list did not name either
  std::vector<ports::EngineEvent> made_;          // containers that nobody looked at yet
  std::optional<Connection> connection_;          // not yet told to the ledger
  bool connected_ = false;
  std::uint64_t connections_ = 0;  // made and lost
  bool listing_wanted_ = false;
  LoopTimer loop_timer_;
};

}  // namespace buildwarden::disk
