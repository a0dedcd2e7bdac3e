// Keeps a reserve on every watched filesystem that can carry one, and gives it back when that is full.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <map>
#include <string>

#include "common/clock.h"
#include "config/settings.h"
#include "daemon/ballast/ballast_file.h"
#include "daemon/ports/filesystems.h"
#include "daemon/ports/journal.h"

namespace buildwarden::disk {

// Never waits: what touches a filesystem runs on a thread of that filesystem's own, one request at a time, so one that
// hangs keeps nobody else from its ballast. Used on the loop only; outlives the loop's last turn.
class Ballast {
 public:
  struct Parts {
    const Settings& settings;
    const Clock& clock;
    ports::Journal& journal;
    ports::BallastFilesystems& filesystems;
    std::function<bool()> only_gentle;  // the operator's wishes are not known yet: nothing is made; may be empty
    BallastHand hand = work_on_ballast;
  };
  explicit Ballast(Parts parts);
  ~Ballast();
  Ballast(const Ballast&) = delete;
  Ballast& operator=(const Ballast&) = delete;

  // One turn over the filesystems' last readings: takes in what was finished, decides, begins what is to be done.
  // Called after each measurement, and by itself on `loop` when a piece of work ends.
  void turn(const boost::asio::any_io_executor& loop);
  // Nothing is begun any more; work under way is not waited for.
  void stop() { stopping_ = true; }

 private:
  struct Keeper;
  using Loop = boost::asio::any_io_executor;
  void tend(const ports::FilesystemSnapshot& filesystem, Keeper& keeper, const Loop& loop);
  [[nodiscard]] bool take_in(const ports::FilesystemSnapshot& filesystem, Keeper& keeper);
  void conclude(const ports::FilesystemSnapshot& filesystem, Keeper& keeper, const BallastDone& done);
  void fail(const ports::FilesystemSnapshot& filesystem, Keeper& keeper, const Error& error);
  void act(const ports::FilesystemSnapshot& filesystem, Keeper& keeper, const Loop& loop);
  void pretend(const ports::FilesystemSnapshot& filesystem, Keeper& keeper);
  void begin(const ports::FilesystemSnapshot& filesystem, Keeper& keeper, const Loop& loop);

  Parts parts_;
  std::map<std::string, Keeper> keepers_;  // by the filesystem's name
  bool stopping_ = false;
};

}  // namespace buildwarden::disk
