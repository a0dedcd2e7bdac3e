// Tells when one of a few files was made, changed, replaced or removed, wherever its folder is by now.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/unique_fd.h"
#include "common/worker.h"

namespace buildwarden {

struct FileWatchTimes {
  Duration quiet{200};                               // a burst is over when that long nothing happened
  Duration backstop = std::chrono::seconds{60};      // looked at without a notice (links, hung folders, no inotify)
  Duration look_patience = std::chrono::seconds{2};  // for the file systems to answer
};

// By inotify on the folders on the way to each file, as far as they exist; a notice only makes it look. Of a folder
// whose next one exists only its own end is told, since such a one (/, /tmp) may be busy with other things. Files are
// compared by what stat says of them, so that neither a touch of something else nor reading them counts. On the loop's
// thread alone; outlives its coroutines: stop(), then run the loop until next() has returned and there is nothing left
// to do.
class FileWatch {
 public:
  FileWatch(const boost::asio::any_io_executor& executor, WorkerPool& workers, FileWatchTimes times = FileWatchTimes{});
  ~FileWatch();
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

  // These from now on, absolute paths.
  void watch(std::vector<std::string> files);

  // Waits until one of them differs from what the last call saw (true; always so at the first one and after watch()),
  // or look_again() was called and nothing differs, or stop() was (false). For one coroutine.
  boost::asio::awaitable<bool> next();
  // Makes next() look soon, and return.
  void look_again();
  void stop();

  // Why notices do not come and only the backstop works; "" when all is well.
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  // What stat says of the files, in their order, and which folders are on the way to them, by name.
  struct Look {
    std::vector<std::string> stamps;
    std::map<std::string, std::string> folders;
    bool operator==(const Look&) const = default;
  };
  // What one look found, with the watches that it made. `names`: for each inotify watch the entries of its folder that
  // matter; `folders`: its folder; `ends`: those in which an entry can come or go without a notice of any other watch.
  struct Survey {
    std::map<int, std::set<std::string>> names;
    std::map<int, std::string> folders;
    std::set<int> ends;
    Look look;
    std::string problem;
  };
  static Survey survey(int inotify, const std::vector<std::string>& files);
  static Look look_of(const std::vector<std::string>& files);
  static void survey_file(int inotify, const std::string& file, Survey& into);
  static void hush(int inotify, const Survey& seen);
  boost::asio::awaitable<void> read_notices();
  boost::asio::awaitable<bool> look(bool told);
  boost::asio::awaitable<void> sleep(Duration time);
  void forget_watches(const Survey& seen);
  [[nodiscard]] bool concerns_us(const char* notices, std::size_t size) const;
  void note();

  WorkerPool& workers_;
  FileWatchTimes times_;
  std::shared_ptr<UniqueFd> inotify_;  // with a look that hangs
  std::shared_ptr<std::atomic<bool>> looking_ = std::make_shared<std::atomic<bool>>(false);
  boost::asio::posix::stream_descriptor notices_;
  boost::asio::steady_timer timer_;
  std::vector<std::string> files_;
  Survey seen_;
  std::string problem_;
  bool reading_ = false;
  bool idle_ = false;   // in the wait that a notice cuts short
  bool dirty_ = true;   // something happened since the last look
  bool told_ = true;    // and a notice said so, or there are other files
  bool asked_ = false;  // by look_again()
  bool stopped_ = false;
};

}  // namespace buildwarden
