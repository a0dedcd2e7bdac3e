// Which of buildx's own builders are people's: their homes say so. Jobs have homes of their own, which end with them.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/worker.h"
#include "daemon/ports/builders.h"

namespace buildwarden::builders {

// The containers that an instance file of buildx names, where its driver is docker-container. Pure; text from anywhere
// is safe: what is no such file names none.
std::vector<std::string> containers_of_instance(std::string_view text);

// The homes in a file like /etc/passwd, but the agent's: what lies in it are jobs' builders. Other sources of users
// (LDAP) are not asked: they could keep us waiting.
std::vector<std::string> homes_of_people(const std::string& passwd_file, const std::string& agent_user);

class BuildxInstances final : public ports::BuilderOwners {
 public:
  // `homes` is called on a worker.
  BuildxInstances(WorkerPool& workers, std::function<std::vector<std::string>()> homes)
      : workers_(workers), homes_(std::move(homes)) {}

  // From `.docker/buildx/instances` of each home; kTimeout and kIo: a home that does not answer, or a folder that
  // cannot be read; a link or a mount within the home, too, since it may lead to something that does not answer.
  ports::Async<std::map<std::string, std::string>> owners() override;

 private:
  WorkerPool& workers_;
  std::function<std::vector<std::string>()> homes_;
};

}  // namespace buildwarden::builders
