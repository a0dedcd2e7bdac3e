// Which objects of others the checkouts read.
#pragma once

#include <cstddef>
#include <stop_token>
#include <string>
#include <vector>

#include "common/result.h"
#include "common/unique_fd.h"
#include "common/units.h"
#include "daemon/policy/checkouts.h"
#include "daemon/ports/mirror_uses.h"

namespace buildwarden::disk {

// Of one look at all checkouts together, since they are of the jobs' making.
struct BorrowLimits {
  std::size_t folders = 100'000;  // repositories, and all that lies in the folders which have their submodules
  std::size_t lines = 10'000;
  Bytes text = kMiB;
};

// One look. Reads objects/info/alternates of a checkout's .git and of its submodules, at most eight folders deep below
// .git/modules. Beneath `home`, by no link and over no mount; regular files alone, without waiting. For a worker.
class BorrowLook {
 public:
  BorrowLook(int home, const std::stop_token& stop, BorrowLimits most = {}) : home_(home), stop_(stop), left_(most) {}

  // What is not there borrows nothing. The answer: whether it is cloned so far that what it borrows stands in it, as
  // its .git has a HEAD. Errors: nobody knows what it borrows, so any mirror may be in use. kConflict: something of it
  // cannot be read, or is something else than git makes; kTooLarge: there is more than is looked at; kCancelled.
  Result<bool> add(const policy::Checkout& checkout);

  [[nodiscard]] std::vector<ports::BorrowedObjects> borrowed() && { return std::move(borrowed_); }

 private:
  [[nodiscard]] Error not_opened(const std::string& name, int error) const;
  // Not open: there is none.
  [[nodiscard]] Result<UniqueFd> open_part(int folder, const std::string& name, int flags) const;
  [[nodiscard]] Result<UniqueFd> open_git(const policy::Checkout& checkout) const;
  Result<void> read_repository(int git);
  Result<void> read_file(int file);
  Result<void> read_modules(int git, int depth);
  Result<void> read_submodules(int folder, int depth);
  Result<void> read_submodule(int git, int depth);
  Result<std::string> read_text(int file);
  Result<void> count_folders(std::size_t more);

  int home_;
  std::stop_token stop_;
  BorrowLimits left_;
  std::string name_;  // of the checkout that is looked at, for people
  std::vector<ports::BorrowedObjects> borrowed_;
};

}  // namespace buildwarden::disk
