// Brings builder images onto the host: present, else from an archive on it, else from the registry.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/async_mutex.h"
#include "common/clock.h"
#include "common/jitter.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/journal.h"

namespace buildwarden::builders {

struct ImagePorts {
  ports::Images& images;
  ports::ImageSource& source;
  ports::Journal& journal;
  const Clock& clock;
};

// One image at a time: further callers wait. Outlives its coroutines.
class ImageProvider {
 public:
  // `folder`: of `docker save` archives (*.tar), which may be absent.
  ImageProvider(ImagePorts ports, std::string folder, Jitter jitter);

  // The image's id once it is there. An archive that did not hold `reference` is not loaded for it again until the file
  // changes. A failed pull is followed by a pause of 5 s, doubling to 5 min, with jitter: kUnavailable until it is
  // over. Other errors are the engine's. kCancelled: the coroutine was cancelled while it waited for its turn.
  ports::Async<std::string> provide(std::string reference);

 private:
  struct Pulls {
    int failures = 0;
    BootTime not_before;
    std::string last_error;
  };

  ports::Async<std::string> bring(std::string reference);
  ports::Async<bool> load_from_archives(std::string reference);
  ports::Async<bool> load_one(std::string archive, std::string reference);
  ports::Async<std::string> pull(std::string reference);
  boost::asio::awaitable<void> first_pause();
  void pull_failed(const std::string& reference, const Error& error);

  ImagePorts ports_;
  std::string folder_;
  Jitter jitter_;
  AsyncMutex turns_;
  bool paused_once_ = false;
  std::set<std::string> useless_;  // "reference file size time" of archives that do not hold the reference
  std::map<std::string, Pulls> pulls_;
};

}  // namespace buildwarden::builders
