// Whether the places of remote caches answer, asked as the agent's user: that is who exports and imports.
#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>

#include "common/format.h"
#include "common/subprocess.h"
#include "common/unique_fd.h"
#include "daemon/cli/doctor.h"

namespace buildwarden::cli {
namespace {

constexpr Duration kPatience = std::chrono::seconds{20};  // the AWS CLI needs a second or two of processor time
constexpr Duration kConnects = std::chrono::seconds{5};

struct Meaning {
  std::string_view said;  // in the AWS CLI's words
  std::string_view meant;
  std::string_view fix;
};

constexpr std::array kMeanings = {
    Meaning{"(403)", "it may not be used", "allow s3:ListBucket, GetObject, PutObject and AbortMultipartUpload on it"},
    Meaning{"(404)", "there is no such bucket", "create it, or correct builders[].cache.bucket"},
    Meaning{"(301)", "it is in another region", "correct builders[].cache.region"},
    Meaning{"(400)", "the request was not taken: mostly credentials that have expired", "renew the credentials"},
    Meaning{"Unable to locate credentials", "there are no credentials", "see what is said of the cache's credentials"},
    Meaning{"Could not connect", "it cannot be reached", "an S3 gateway endpoint, a route, or endpoint_url"},
    Meaning{"timeout", "it does not answer", "an S3 gateway endpoint, a route, or endpoint_url"},
};

// As far as that account may; the environment is the child's own.
Result<std::string> ask_s3(std::vector<std::string> command, const std::string& home) {
  ::setenv("HOME", home.c_str(), 1);
  ::setenv("AWS_METADATA_SERVICE_TIMEOUT", "1", 0);
  ::setenv("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "1", 0);
  ::setenv("AWS_MAX_ATTEMPTS", "1", 0);
  const auto end = run_program(std::move(command), kPatience);
  if (!end) return end.error();
  return end->exit_code == 0 ? std::string() : format("exit {}: {}", end->exit_code, end->errors);
}

Finding of_bucket(const Scene& scene, const BuilderSettings& builder) {
  const auto& cache = builder.cache;
  std::vector<std::string> command = {scene.settings.instance.aws_cli,
                                      "s3api",
                                      "head-bucket",
                                      "--bucket",
                                      cache.bucket,
                                      "--region",
                                      cache.region,
                                      "--cli-connect-timeout",
                                      "3",
                                      "--cli-read-timeout",
                                      "5"};
  if (!cache.endpoint_url.empty()) command.insert(command.end(), {"--endpoint-url", cache.endpoint_url});
  const auto& agent = *scene.agent;
  const auto asked = run_as(agent, [&] { return ask_s3(command, agent.home); }, kPatience + kConnects);
  const auto place = format("{}: s3://{}", builder.name, cache.bucket);
  if (!asked) {
    return warning(format("{} was not tried as {}: {}", place, agent.name, asked.error().message()),
                   "install the AWS CLI (or set instance.aws_cli), and run the doctor as root");
  }
  if (asked->empty()) return fine(format("{} answers {}", place, agent.name));
  for (const auto& meaning : kMeanings) {
    if (asked->find(meaning.said) == std::string::npos) continue;
    return error(format("{}, as {}: {}", place, agent.name, meaning.meant), std::string(meaning.fix));
  }
  auto said = asked->substr(0, 300);
  std::replace(said.begin(), said.end(), '\n', ' ');
  return error(format("{}, as {}: {}", place, agent.name, said), "aws s3api head-bucket says it again");
}

struct Address {
  std::string host;
  std::string port;
};

// Of an image reference: its first part when that can be a host's name, else Docker Hub (distribution's reference.go).
Address registry_of(const std::string& ref) {
  const auto first = ref.substr(0, ref.find('/'));
  const bool is_host = first != ref && (first.find_first_of(".:") != std::string::npos || first == "localhost");
  if (!is_host) return {"registry-1.docker.io", "443"};
  const auto colon = first.rfind(':');
  if (colon == std::string::npos) return {first, "443"};
  return {first.substr(0, colon), first.substr(colon + 1)};
}

Result<std::string> connect_to(const Address& address) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int failed = ::getaddrinfo(address.host.c_str(), address.port.c_str(), &hints, &found); failed != 0) {
    return Error(Errc::kUnavailable, ::gai_strerror(failed));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> all(found, ::freeaddrinfo);
  int why = 0;
  for (const auto* one = all.get(); one != nullptr; one = one->ai_next) {
    const UniqueFd link(::socket(one->ai_family, one->ai_socktype | SOCK_CLOEXEC, one->ai_protocol));
    if (link.open() && ::connect(link.get(), one->ai_addr, one->ai_addrlen) == 0) return std::string();
    why = errno;
  }
  return Error::from_errno(why, "connect");
}

Finding of_registry(const Scene& scene, const BuilderSettings& builder) {
  const auto address = registry_of(builder.cache.ref);
  const auto reached = run_as(*scene.agent, [&] { return connect_to(address); }, kConnects);
  const auto place = format("{}: the registry {}:{} of its cache", builder.name, address.host, address.port);
  if (reached) return fine(format("{} can be reached; each job brings its own login", place));
  if (reached.error().code() == Errc::kDenied) {
    return warning(format("{} was not tried: {}", place, reached.error().message()), "run the doctor as root");
  }
  return error(format("{} cannot be reached: {}", place, reached.error().message()),
               "a route, the proxy, the security group; or correct builders[].cache.ref");
}

}  // namespace

Findings check_reach(const Scene& scene) {
  Findings findings;
  for (const auto& builder : scene.settings.builders) {
    const auto& cache = builder.cache;
    const bool s3 = cache.type == CacheType::kS3 && !cache.bucket.empty() && !cache.region.empty();
    const bool registry = cache.type == CacheType::kRegistry && !cache.ref.empty();
    if ((s3 || registry) && !scene.agent) {
      return {warning("remote caches were not tried: there is no agent's user", "see what is said of the agent")};
    }
    if (s3) findings.push_back(of_bucket(scene, builder));
    if (registry) findings.push_back(of_registry(scene, builder));
  }
  if (findings.empty()) findings.push_back(fine("no builder's cache is elsewhere"));
  return findings;
}

}  // namespace buildwarden::cli
