// What outlives the daemon of a termination: one small file of paths.run, a tmpfs, so it works on a full disk and is
// gone with the boot. That it is there also tells the agent's unit that the daemon owns the termination.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "common/result.h"
#include "daemon/policy/pressure.h"
#include "daemon/policy/termination.h"

namespace buildwarden::instance {

// The intent as text. Reading: kInvalid when it is not what write_intent() made.
std::string write_intent(const policy::TerminationIntent& intent, const std::string& boot_id);
struct StoredIntent {
  std::string boot_id;
  policy::TerminationIntent intent;
};
Result<StoredIntent> read_intent(const std::string& text);

class IntentFile {
 public:
  // `folder`: paths.run; "termination" in it. `boot_id`: of this boot.
  IntentFile(std::string folder, std::string boot_id) : folder_(std::move(folder)), boot_id_(std::move(boot_id)) {}

  // That of this boot; none is none. One of another boot, or that cannot be understood, is removed: kNotFound says why.
  [[nodiscard]] Result<std::optional<policy::TerminationIntent>> load() const;
  [[nodiscard]] Result<void> save(const policy::TerminationIntent& intent) const;
  [[nodiscard]] Result<void> remove() const;
  [[nodiscard]] std::string path() const { return folder_ + "/termination"; }

 private:
  std::string folder_;
  std::string boot_id_;
};

// Which filesystems had enough space at least once since boot, and by which marks; kept in the same folder.
class OnceOk {
 public:
  OnceOk(std::string folder, std::string boot_id) : folder_(std::move(folder)), boot_id_(std::move(boot_id)) {}

  void load();
  // It has enough by these marks now. True when that was not known before; then it is saved. What cannot be saved is
  // known until the daemon ends.
  bool note(const std::string& device, const policy::Marks& marks);
  // Whether it ever had enough by marks that asked for as much as these, or more: what was enough for lower marks says
  // nothing of higher ones.
  [[nodiscard]] bool has(const std::string& device, const policy::Marks& marks) const;

 private:
  [[nodiscard]] std::string path() const { return folder_ + "/disks-once-ok"; }
  std::string folder_;
  std::string boot_id_;
  // What lay at the low mark, in bytes and inodes, when it was ok: of each device the most demanding pairs.
  std::map<std::string, std::set<std::pair<Bytes, std::int64_t>>> devices_;
};

}  // namespace buildwarden::instance
