// The account that jobs run as, and what it can do: asked of the kernel by doing it as that user.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "common/result.h"
#include "common/units.h"

namespace buildwarden::cli {

struct Account {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // all of them, the primary one too
  std::string home;           // "" = not known
};

// `user` is a name or a number; a number without an entry is a user in the group of that number alone. kNotFound.
Result<Account> find_account(const std::string& user);

// What `work` answers in a process of its own that is `account` in every respect, and that has no more rights; the
// process is killed after `deadline`. As somebody else only root may: kDenied. kTimeout; kIo when it broke off.
using Work = std::function<Result<std::string>()>;
Result<std::string> run_as(const Account& account, const Work& work, Duration deadline);

// The same as we are.
Result<std::string> run_apart(const Work& work, Duration deadline);

}  // namespace buildwarden::cli
