// The cache in S3: what it is called, and whether a job and a container would find credentials for it.
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <sstream>

#include "common/foreign_file.h"
#include "common/format.h"
#include "common/unique_fd.h"
#include "daemon/cli/answer.h"
#include "daemon/cli/doctor.h"
#include "daemon/cli/metadata.h"

namespace buildwarden::cli {
namespace {

constexpr Duration kHere = std::chrono::seconds{1};  // for an answer on an instance; elsewhere nobody answers
constexpr Duration kFromContainer = std::chrono::seconds{2};
constexpr Bytes kMostOfAFile = 256 * kKiB;
constexpr Duration kMargin = std::chrono::seconds{1};  // until the process that asks is given up

// Any of them is enough for the AWS client that resolves credentials.
constexpr std::array kVariables = {"AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE",
                                   "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"};

bool uses_s3(const Scene& scene) {
  const auto& builders = scene.settings.builders;
  return std::any_of(builders.begin(), builders.end(),
                     [](const BuilderSettings& builder) { return builder.cache.type == CacheType::kS3; });
}

Finding of_names(const BuilderSettings& builder) {
  const auto& cache = builder.cache;
  if (cache.bucket.empty()) {
    return error(format("{}: no bucket for its cache", builder.name), "set builders[].cache.bucket");
  }
  if (cache.region.empty()) {
    return error(format("{}: no region for its cache in {}", builder.name, cache.bucket),
                 "set builders[].cache.region, or AWS_REGION in the agent's environment");
  }
  return fine(format("{}: its cache is s3://{} in {}", builder.name, cache.bucket, cache.region));
}

// The name of a variable that the file of the agent's environment sets; "" when none.
std::string variable_in(const std::string& path) {
  std::istringstream file(read_foreign_file(path, FileOwner::kAnybody, kMostOfAFile).value_or({}).text);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("export ")) line.erase(0, 7);
    for (const std::string name : kVariables) {
      if (line.starts_with(name + "=")) return name;
    }
  }
  return "";
}

// Where credentials are, but for the instance's role; "" when nowhere. Files count when the agent can read them.
std::string place_of_credentials(const Scene& scene, const Account& agent) {
  for (const std::string name : kVariables) {
    if (!scene.env(name).empty()) return format("{} is set here", name);
  }
  const auto set = variable_in(scene.settings.paths.agent_env);
  if (!set.empty()) return format("{} sets {}", scene.settings.paths.agent_env, set);
  const auto look = [&agent]() -> Result<std::string> {
    for (const std::string name : {"/.aws/credentials", "/.aws/config"}) {
      const auto path = agent.home + name;
      if (!agent.home.empty() && ::access(path.c_str(), R_OK) == 0) return path;
    }
    return std::string();
  };
  auto file = run_as(agent, look, kHere);
  return file && !file->empty() ? format("{} is there", *file) : "";
}

Finding of_role(const Scene& scene, const Account& agent) {
  const auto& url = scene.settings.instance.imds_url;
  const auto ask = [&url] { return metadata_role(url, kHere); };
  const auto role = run_as(agent, ask, 2 * kHere + kMargin);
  if (role) return fine(format("credentials of the instance's role {} are visible to {}", *role, agent.name));
  const auto& why = role.error();
  if (why.code() == Errc::kNotFound) {
    return warning("the instance has no role, and no credentials were found elsewhere",
                   "give the instance a role that may use the bucket, or let jobs assume one");
  }
  const auto denied = format("{} is not given credentials by the instance: {}", agent.name, why.message());
  if (why.code() == Errc::kDenied) return warning(denied, "run the doctor as root; let the agent reach its metadata");
  return warning(denied, format("let the agent's user reach {} (iptables), or let jobs assume a role", url));
}

Finding of_credentials(const Scene& scene, bool on_ec2) {
  if (!scene.agent) return warning("not looked for credentials: there is no agent's user", "see the agent");
  const auto place = place_of_credentials(scene, *scene.agent);
  if (!place.empty()) return fine(format("credentials: {}", place));
  if (on_ec2) return of_role(scene, *scene.agent);
  return warning(format("{} has no AWS credentials of its own, and this is not EC2", scene.agent->name),
                 "let each job get them (OIDC, an assumed role), or put them in ~/.aws of the agent's user");
}

// A token asked for in the network of a running container: the answer's hops are counted.
Finding of_hop_limit(const Scene& scene, const BuilderSettings& builder) {
  const auto& url = scene.settings.instance.imds_url;
  const auto container = scene.engine("/containers/buildwarden_" + builder.name + "/json");
  const auto pid = container ? number(member(container->json, "State"), "Pid").value_or(0) : 0;
  if (pid <= 0) return warning("the hop limit was not tried: the builder does not run", "see the builders");
  const auto path = format("/proc/{}/ns/net", pid);
  const auto ask = [&]() -> Result<std::string> {
    const UniqueFd network(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (!network.open() || ::setns(network.get(), CLONE_NEWNET) != 0) return Error::from_errno(errno, path);
    if (auto token = metadata_token(url, kFromContainer); !token) return Error(Errc::kTimeout, token.error().message());
    return std::string();
  };
  const auto asked = run_apart(ask, kFromContainer + kMargin);
  if (asked) return fine("containers reach the instance's metadata");
  if (asked.error().code() == Errc::kDenied) {
    return warning(format("the hop limit was not tried: {}", asked.error().message()), "run the doctor as root");
  }
  return warning(
      "containers do not reach the instance's metadata, so none has its role; jobs that build by buildx bring their "
      "own",
      "aws ec2 modify-instance-metadata-options --instance-id ID --http-put-response-hop-limit 2");
}

}  // namespace

Findings check_cache(const Scene& scene) {
  if (!uses_s3(scene)) return {fine("no builder's cache is in S3")};
  Findings findings;
  for (const auto& builder : scene.settings.builders) {
    if (builder.cache.type == CacheType::kS3) findings.push_back(of_names(builder));
  }
  const auto& url = scene.settings.instance.imds_url;
  const auto token = metadata_token(url, kHere);
  findings.push_back(of_credentials(scene, token.ok()));
  if (!token && token.error().code() == Errc::kDenied) {
    findings.push_back(warning(format("the instance gives no metadata: {}", token.error().message()),
                               "aws ec2 modify-instance-metadata-options --instance-id ID --http-endpoint enabled"));
    return findings;
  }
  if (!token) {
    findings.push_back(fine(format("not on EC2: {}", token.error().message())));
    return findings;
  }
  findings.push_back(of_hop_limit(scene, scene.settings.builders.front()));
  return findings;
}

}  // namespace buildwarden::cli
