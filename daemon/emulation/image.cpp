#include "daemon/emulation/image.h"

#include <unistd.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <utility>

#include "common/format.h"

namespace buildwarden::emulation {
namespace json = boost::json;
namespace {

constexpr const char* kContainer = "buildwarden_binfmt";
constexpr Duration kImagePatience = std::chrono::minutes{1};
constexpr std::size_t kMostWords = 400;  // of stderr, in a reason

bool read_list(const json::object& object, const char* name, std::vector<std::string>& into) {
  const auto* member = object.if_contains(name);
  if (member == nullptr || member->is_null()) return true;
  const auto* list = member->if_array();
  if (list == nullptr) return false;
  for (const auto& one : *list) {
    const auto* text = one.if_string();
    if (text == nullptr) return false;
    into.emplace_back(text->data(), text->size());
  }
  return true;
}

// "arm64" of "linux/arm64", as the program takes them.
std::string list_of(const std::vector<std::string>& platforms) {
  std::string list;
  for (const auto& one : platforms) list += (list.empty() ? "" : ",") + one.substr(one.find('/') + 1);
  return list;
}

ports::ContainerSpec spec_of(const std::string& image, const std::vector<std::string>& platforms) {
  ports::ContainerSpec spec;
  spec.name = kContainer;
  spec.image = image;
  spec.command = {"--install", list_of(platforms)};
  spec.labels[std::string(ports::kOwnerLabel)] = std::string(ports::kOwner);
  spec.privileged = true;
  spec.host_userns = true;
  spec.network = "none";
  return spec;
}

// "linux/arm64" is supported by "linux/arm64", and by "linux/arm64/v8".
bool supports(const ImageAnswer& answer, const std::string& platform) {
  return std::any_of(answer.supported.begin(), answer.supported.end(),
                     [&](const std::string& one) { return one == platform || one.starts_with(platform + "/"); });
}

std::string_view without_digest(std::string_view image) { return image.substr(0, image.find('@')); }

}  // namespace

Result<ImageAnswer> decode_answer(std::string_view output) {
  boost::system::error_code broken;
  const auto root = json::parse({output.data(), output.size()}, broken);
  const auto* object = broken ? nullptr : root.if_object();
  ImageAnswer answer;
  if (object == nullptr || !read_list(*object, "supported", answer.supported) ||
      !read_list(*object, "emulators", answer.emulators)) {
    return Error(Errc::kProtocol, "the binfmt image did not say what it supports");
  }
  return answer;
}

std::string archive_name(std::string_view image) {
  std::string name(without_digest(image));
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._";
  for (auto at = name.find_first_not_of(kPlain); at != std::string::npos; at = name.find_first_not_of(kPlain, at + 1)) {
    name[at] = '-';
  }
  return name + ".tar";
}

ports::Async<std::string> ImageRegistrar::provide(std::string image) {
  const auto present = co_await parts_.images.image_id(image);
  if (present) co_return image;
  if (present.error().code() != Errc::kNotFound) co_return present.error();
  const auto archive = format("{}/{}", parts_.archives, archive_name(image));
  if (::access(archive.c_str(), R_OK) == 0) {
    // One that cannot be loaded is as good as none.
    const auto loaded = co_await parts_.source.load_archive(archive);
    const std::string tagged(without_digest(image));
    const auto there = co_await parts_.images.image_id(tagged);
    if (loaded && there) co_return tagged;
  }
  const auto pulled = co_await parts_.source.pull(image);
  if (!pulled) co_return pulled.error();
  co_return image;
}

ports::Async<std::string> ImageRegistrar::run(std::string image, std::vector<std::string> platforms,
                                              std::string* errors) {
  // One that an earlier daemon left; without one that is an error that nobody needs.
  static_cast<void>(co_await parts_.control.act_on_container(kContainer, ports::ContainerVerb::kRemove));
  auto spec = spec_of(image, platforms);
  auto id = co_await parts_.control.create_container(std::move(spec));
  if (!id) co_return std::move(id).error();
  auto started = co_await parts_.control.act_on_container(*id, ports::ContainerVerb::kStart);
  ports::ContainerControl::ExecLimits limits;
  limits.deadline = kImagePatience;
  Result<ports::ContainerControl::ExecResult> said = Error(Errc::kIo, "it did not start");
  if (started) said = co_await parts_.output.await_container(*id, limits);
  if (!started) said = std::move(started).error();
  static_cast<void>(co_await parts_.control.act_on_container(*id, ports::ContainerVerb::kRemove));
  if (!said) co_return std::move(said).error();
  *errors = said->errors.substr(0, kMostWords);
  co_return std::move(said->output);
}

ports::Async<void> ImageRegistrar::install(std::string image, std::vector<std::string> platforms) {
  const auto doing = format("registering by {}", image);
  auto provided = co_await provide(image);
  if (!provided) co_return Error(provided.error()).with_context(doing);
  std::string errors;
  const auto output = co_await run(*std::move(provided), platforms, &errors);
  if (!output) co_return Error(output.error()).with_context(doing);
  const auto answer = decode_answer(*output);
  if (!answer) co_return Error(Errc::kProtocol, format("{}; {}", answer.error().message(), errors)).with_context(doing);
  for (const auto& platform : platforms) {
    if (supports(*answer, platform)) continue;
    const auto why = errors.empty() ? std::string("it does not say why") : errors;
    co_return Error(Errc::kIo, format("{} is not among what it supports: {}", platform, why)).with_context(doing);
  }
  co_return Result<void>{};
}

}  // namespace buildwarden::emulation
