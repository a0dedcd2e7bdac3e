// One thread's way through a tree that goes; the inside of tree_removal.
#pragma once

#include <dirent.h>
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "common/result.h"
#include "common/tree_removal.h"
#include "common/unique_fd.h"

namespace buildwarden {

// A folder that somebody else is to remove.
struct RemovalTask {
  std::shared_ptr<const UniqueFd> parent;
  std::string name;
  std::string where;  // the path of `parent`, with a slash at its end; for people
};

class TreeRemover {
 public:
  struct Options {
    std::stop_token stop;
    std::chrono::steady_clock::time_point until = std::chrono::steady_clock::time_point::max();
    bool clear_flags = false;
    // Takes over a folder; false: it is to be done here. What was taken over and the folders above it are left. May be
    // empty.
    std::function<bool(RemovalTask)> hand_over;
  };
  // `parent` stays open for as long as this lives; `where` as in RemovalTask.
  TreeRemover(int parent, std::string where, Options options);

  // Removes `name`, whatever it is; once.
  void remove(const std::string& name);
  // The same, if what is opened is the one that was meant: kConflict.
  Result<void> remove_folder(const std::string& name, TreeIdentity identity);

  [[nodiscard]] TreeRemoved& result() { return result_; }

 private:
  struct CloseFolder {
    void operator()(DIR* folder) const { ::closedir(folder); }
  };
  // A folder that is being emptied.
  struct Level {
    std::unique_ptr<DIR, CloseFolder> entries;
    std::string name;                        // in the level above
    bool progress = false;                   // something went since it was last read from its beginning
    bool flags_cleared = false;              // that was tried
    std::uint64_t kept = 0;                  // what cannot go, in it and below, as far as this reading of it came
    std::shared_ptr<const UniqueFd> shared;  // once something in it was handed over: it cannot be empty yet
    int descriptor = -1;                     // of `entries`, which owns it
    std::uint64_t allowed = 0;  // entries that may yet be taken: more than it can have held when it was opened
    int readings = 1;           // that began
  };

  void walk();
  [[nodiscard]] bool is_over() const;
  bool may_take();
  void take(const std::string& name, unsigned char type);
  bool unlink(int folder, const std::string& name, int flags);
  bool remove_file(int folder, const std::string& name);
  bool enter(int folder, const std::string& name);
  bool not_entered(int folder, const std::string& name, int error);
  [[nodiscard]] bool handed_over(Level& level, const std::string& name) const;
  void move_up(const std::string& name);
  void leave();
  void keep(const std::string& name, int error);
  void keep_contested();
  void note_mount(std::string path);
  [[nodiscard]] std::string path_of(const std::string& name) const;

  int parent_;
  std::string where_;
  Options options_;
  std::vector<Level> levels_;
  std::uint64_t moved_ = 0;
  TreeRemoved result_;
};

}  // namespace buildwarden
