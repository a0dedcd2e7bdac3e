// Seeds in S3, by the AWS CLI: credentials, retries with jitter and multipart transfers are its own.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "common/format.h"
#include "common/subprocess.h"
#include "daemon/seeds/manifest.h"
#include "daemon/seeds/pipe_program.h"
#include "daemon/seeds/store.h"

namespace buildwarden::seeds {
namespace {

constexpr Duration kSmallPatience = std::chrono::seconds{60};  // for a manifest, a list or a removal
constexpr std::size_t kMostWords = 400;

bool says(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

// Of URLs in it what stands before "@", and behind "?": passwords and signatures.
std::string without_secrets(std::string_view words) {
  std::string shown;
  for (auto at = words.find("://"); at != std::string_view::npos; at = words.find("://")) {
    constexpr std::size_t kLength = 3;
    shown += words.substr(0, at + kLength);
    words.remove_prefix(at + kLength);
    auto url = words.substr(0, words.find_first_of(" \"'\n"));
    words.remove_prefix(url.size());
    const auto query = url.find('?');
    const bool is_cut = query != std::string_view::npos;
    url = url.substr(0, query);
    const auto host = url.substr(0, url.find('/')).rfind('@');
    shown += host == std::string_view::npos ? url : url.substr(host + 1);
    if (is_cut) shown += "?...";
  }
  return shown.append(words);
}

// The CLI's own words, in one line; what is to be done about them is told by the code.
Error failure_of(const std::string& said) {
  auto words = without_secrets(said);
  std::replace(words.begin(), words.end(), '\n', ' ');
  const auto first = words.find_first_not_of(' ');
  words =
      first == std::string::npos ? std::string("the AWS CLI failed without a word") : words.substr(first, kMostWords);
  if (says(words, "(404)") || says(words, "NoSuchKey")) return {Errc::kNotFound, words};
  if (says(words, "(403)") || says(words, "AccessDenied")) return {Errc::kDenied, words};
  if (says(words, "NoSuchBucket") || says(words, "redentials")) return {Errc::kDenied, words};
  return {Errc::kUnavailable, words};
}

class S3Stream final : public PartStream {
 public:
  explicit S3Stream(PipeProgram program) : program_(std::move(program)) {}
  [[nodiscard]] int descriptor() const override { return program_.descriptor(); }
  Result<void> finish() override {
    auto done = program_.finish();
    if (done) return {};
    return done.error().code() == Errc::kNotFound ? done.error() : failure_of(done.error().message());
  }

 private:
  PipeProgram program_;
};

class S3Store final : public Store {
 public:
  explicit S3Store(const Place& place) : place_(place) {
    root_ = place.location + (place.location.ends_with('/') ? "" : "/") + place.within() + "/";
    // For the CLI, which is a child of this process. The other thread reads no variables (program.cpp).
    ::setenv("AWS_RETRY_MODE", "standard", 1);  // exponential, with jitter
    ::setenv("AWS_MAX_ATTEMPTS", place_.is_patient ? "20" : "5", 1);
    ::setenv("AWS_PAGER", "", 1);
    if (!place.imds_url.empty()) {
      const auto url = place.imds_url + (place.imds_url.ends_with('/') ? "" : "/");
      ::setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.c_str(), 1);
    }
  }

  Result<std::string> manifest() override { return ask({"cp", "--only-show-errors", root_ + kManifestName, "-"}); }
  Result<void> publish(const std::string& manifest) override {
    auto done = ask({"cp", "--only-show-errors", "-", root_ + kManifestName}, manifest);
    if (!done) return std::move(done).error();
    return {};
  }
  Result<std::unique_ptr<PartStream>> read_part(const std::string& name) override {
    return open({"cp", "--only-show-errors", root_ + name, "-"}, PipeProgram::Direction::kFromIt);
  }
  // The size is not known before, and the CLI's own pieces allow 80 GB; larger seeds need larger ones.
  Result<std::unique_ptr<PartStream>> write_part(const std::string& name) override {
    return open({"cp", "--only-show-errors", "--expected-size=200000000000", "-", root_ + name},
                PipeProgram::Direction::kToIt);
  }
  // Lines such as "2026-12-01 01:02:03   12345 NAME"; PRE lines are folders.
  Result<std::vector<std::string>> part_names() override {
    auto text = ask({"ls", root_});
    if (!text) return std::move(text).error();
    std::vector<std::string> names;
    std::string_view rest = *text;
    while (!rest.empty()) {
      const auto line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(line.size() + 1, rest.size()));
      const auto space = line.rfind(' ');
      auto name = std::string(space == std::string_view::npos ? line : line.substr(space + 1));
      if (name.ends_with(".tar.zst")) names.push_back(std::move(name));
    }
    return names;
  }
  Result<void> remove_part(const std::string& name) override {
    auto done = ask({"rm", "--only-show-errors", root_ + name});
    if (!done) return std::move(done).error();
    return {};
  }

 private:
  [[nodiscard]] std::vector<std::string> command(std::vector<std::string> words) const {
    std::vector<std::string> whole = {place_.aws_cli, "s3"};
    for (auto& word : words) whole.push_back(std::move(word));
    whole.insert(whole.end(), {"--cli-connect-timeout=5", "--cli-read-timeout=30"});
    if (!place_.region.empty()) whole.push_back("--region=" + place_.region);
    if (!place_.endpoint_url.empty()) whole.push_back("--endpoint-url=" + place_.endpoint_url);
    return whole;
  }
  Result<std::string> ask(std::vector<std::string> words, const std::string& input = "") const {
    auto end = run_program({command(std::move(words)), input, kSmallPatience});
    if (!end) return std::move(end).error();
    if (end->exit_code != 0) return failure_of(end->errors);
    return std::move(end->output);
  }
  Result<std::unique_ptr<PartStream>> open(std::vector<std::string> words, PipeProgram::Direction direction) const {
    auto program = PipeProgram::start(command(std::move(words)), direction);
    if (!program) return std::move(program).error();
    return std::unique_ptr<PartStream>(std::make_unique<S3Stream>(*std::move(program)));
  }

  Place place_;
  std::string root_;
};

}  // namespace

std::unique_ptr<Store> open_s3_store(const Place& place) { return std::make_unique<S3Store>(place); }

}  // namespace buildwarden::seeds
