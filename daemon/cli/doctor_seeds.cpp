// Whether this instance may use the place where seeds lie.
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/format.h"
#include "common/subprocess.h"
#include "daemon/cli/doctor.h"

namespace buildwarden::cli {
namespace {

constexpr Duration kPlacePatience = std::chrono::seconds{20};
constexpr std::size_t kMostShown = 300;

bool saves(const Scene& scene) { return scene.settings.seeds.save != SeedSave::kNever; }

Finding of_folder(const Scene& scene, const std::string& folder) {
  struct stat info{};
  if (::stat(folder.c_str(), &info) != 0) {
    return error(format("seeds.location {}: {}", folder, std::strerror(errno)),  // NOLINT(concurrency-mt-unsafe)
                 "mount the shared filesystem; the folder is never made");
  }
  if (!S_ISDIR(info.st_mode)) return error(format("seeds.location {} is no folder", folder), "write a folder's path");
  if (info.st_uid != 0 || (info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return warning(format("others than root may write to {}, and who does runs code in each later build", folder),
                   format("chown root {0}; chmod go-w {0}", folder));
  }
  if (saves(scene) && ::access(folder.c_str(), W_OK) != 0) {
    return error(format("seeds.save is set, and {} cannot be written to", folder),
                 "mount it for writing, or save: never");
  }
  return fine(format("seeds lie in {}", folder));
}

// The CLI's words, in one line.
std::string words_of(std::string errors) {
  for (auto& letter : errors) {
    if (letter == '\n') letter = ' ';
  }
  const auto first = errors.find_first_not_of(' ');
  return first == std::string::npos ? "" : errors.substr(first, kMostShown);
}

// `aws s3 ls` ends with 1, and without a word, where there is nothing yet.
Finding of_bucket(const Scene& scene, const std::string& location) {
  std::vector<std::string> command = {"env",
                                      "AWS_PAGER=",
                                      "AWS_MAX_ATTEMPTS=2",
                                      scene.settings.instance.aws_cli,
                                      "s3",
                                      "ls",
                                      location + (location.ends_with('/') ? "" : "/"),
                                      "--cli-connect-timeout=5",
                                      "--cli-read-timeout=10"};
  if (!scene.settings.instance.region.empty()) command.push_back("--region=" + scene.settings.instance.region);
  if (!scene.settings.seeds.endpoint_url.empty()) {
    command.push_back("--endpoint-url=" + scene.settings.seeds.endpoint_url);
  }
  const auto end = run_program(std::move(command), kPlacePatience);
  if (!end) return error(format("{} could not be asked: {}", location, end.error().message()), "install the AWS CLI");
  const auto words = words_of(end->errors);
  if (end->exit_code == 0 || words.empty()) {
    return fine(
        format("{} can be listed with this instance's credentials; reading and writing are not tried", location));
  }
  const auto has = [&words](const char* part) { return words.find(part) != std::string::npos; };
  if (has("AccessDenied") || has("(403)")) {
    return error(format("this instance may not list {}: {}", location, words),
                 "give its role s3:ListBucket and s3:GetObject, to save s3:PutObject and s3:DeleteObject: "
                 "packaging/ami/s3-seeds-policy.json");
  }
  if (has("NoSuchBucket"))
    return error(format("there is no such bucket: {}", words), "make it, or correct seeds.location");
  if (has("redentials"))
    return error(format("there are no credentials for {}: {}", location, words), "give the instance a role");
  return error(format("{} cannot be listed: {}", location, words), "see the network, the region and the bucket's name");
}

}  // namespace

Findings check_seeds(const Scene& scene) {
  const auto& location = scene.settings.seeds.location;
  if (location.empty()) return {fine("seeds are off")};
  Findings findings;
  findings.push_back(location.starts_with("s3://") ? of_bucket(scene, location) : of_folder(scene, location));
  const auto answer = scene.daemon("/v1/seeds");
  if (!answer || !answer->good()) return findings;
  for (const auto& seed : list(answer->json, "seeds")) {
    const auto refusal = text(seed, "refusal");
    if (refusal.empty()) continue;
    findings.push_back(warning(format("the seed of builder {} is of no use here: {}", text(seed, "builder"), refusal),
                               format("buildwarden seeds save {}", text(seed, "builder"))));
  }
  return findings;
}

}  // namespace buildwarden::cli
