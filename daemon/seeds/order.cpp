#include "daemon/seeds/order.h"

#include <array>
#include <boost/json.hpp>
#include <charconv>
#include <utility>

#include "common/format.h"
#include "common/visible_text.h"
#include "daemon/seeds/manifest.h"

namespace buildwarden::seeds {
namespace json = boost::json;

namespace {

constexpr std::array kTasks = {std::pair(Task::kLook, "look"),       std::pair(Task::kMeasure, "measure"),
                               std::pair(Task::kSave, "save"),       std::pair(Task::kPublish, "publish"),
                               std::pair(Task::kRestore, "restore"), std::pair(Task::kClean, "clean"),
                               std::pair(Task::kDiscard, "discard")};
constexpr std::array kCodes = {Errc::kInvalid,     Errc::kNotFound, Errc::kConflict, Errc::kDenied,    Errc::kTimeout,
                               Errc::kUnavailable, Errc::kProtocol, Errc::kTooLarge, Errc::kCancelled, Errc::kIo};
constexpr std::string_view kProgress = "progress ";

std::string text_of(const json::object& object, const char* name) {
  const auto* member = object.if_contains(name);
  const auto* text = member == nullptr ? nullptr : member->if_string();
  return text == nullptr ? std::string() : std::string(text->data(), text->size());
}

std::int64_t number_of(const json::object& object, const char* name) {
  const auto* member = object.if_contains(name);
  const auto* number = member == nullptr ? nullptr : member->if_int64();
  return number == nullptr ? 0 : *number;
}

Result<json::object> object_in(std::string_view text) {
  boost::system::error_code broken;
  auto root = json::parse({text.data(), text.size()}, broken);
  if (broken || !root.is_object()) return Error(Errc::kProtocol, "no JSON object");
  return std::move(root.get_object());
}

}  // namespace

std::string encode_order(const Order& order) {
  json::object object;
  for (const auto& [task, name] : kTasks) {
    if (task == order.task) object["task"] = name;
  }
  const auto& place = order.place;
  for (const auto& [name, value] :
       {std::pair("location", place.location), std::pair("builder", place.builder),
        std::pair("architecture", place.architecture), std::pair("aws_cli", place.aws_cli),
        std::pair("region", place.region), std::pair("endpoint_url", place.endpoint_url),
        std::pair("imds_url", place.imds_url), std::pair("volume", order.volume), std::pair("stem", order.stem),
        std::pair("manifest", encode_manifest(order.manifest))}) {
    object[name] = json::string(value);
  }
  object["most"] = order.most;
  object["patience_ms"] = order.patience.count();
  return json::serialize(object);
}

Result<Order> decode_order(std::string_view text) {
  const auto object = object_in(text);
  if (!object) return object.error();
  Order order;
  bool known = false;
  for (const auto& [task, name] : kTasks) {
    if (text_of(*object, "task") != name) continue;
    order.task = task;
    known = true;
  }
  if (!known) return Error(Errc::kInvalid, "no such task");
  auto& place = order.place;
  place.location = text_of(*object, "location");
  place.builder = text_of(*object, "builder");
  place.architecture = text_of(*object, "architecture");
  place.aws_cli = text_of(*object, "aws_cli");
  place.region = text_of(*object, "region");
  place.endpoint_url = text_of(*object, "endpoint_url");
  place.imds_url = text_of(*object, "imds_url");
  order.volume = text_of(*object, "volume");
  order.stem = text_of(*object, "stem");
  order.most = number_of(*object, "most");
  order.patience = Duration{number_of(*object, "patience_ms")};
  auto manifest = decode_manifest(text_of(*object, "manifest"));
  if (!manifest) return std::move(manifest).error();
  order.manifest = *std::move(manifest);
  return order;
}

std::string encode_answer(const Result<Answer>& answer) {
  json::object object;
  if (!answer) {
    object["code"] = to_string(answer.error().code());
    object["error"] = json::string(as_utf8(answer.error().message()));
    return json::serialize(object);
  }
  object["bytes"] = answer->bytes;
  object["entries"] = answer->entries;
  if (answer->manifest) object["manifest"] = encode_manifest(*answer->manifest);
  return json::serialize(object);
}

Result<Answer> decode_answer(std::string_view output) {
  while (output.ends_with('\n')) output.remove_suffix(1);
  const auto line = output.substr(output.rfind('\n') + 1);
  const auto object = object_in(line);
  if (!object) return Error(Errc::kProtocol, "the seeds' process ended without an answer");
  if (object->contains("error")) {
    auto code = Errc::kIo;
    for (const auto one : kCodes) {
      if (to_string(one) == text_of(*object, "code")) code = one;
    }
    return Error(code, text_of(*object, "error"));
  }
  Answer answer;
  answer.bytes = number_of(*object, "bytes");
  answer.entries = number_of(*object, "entries");
  if (!object->contains("manifest")) return answer;
  auto manifest = decode_manifest(text_of(*object, "manifest"));
  if (!manifest) return std::move(manifest).error();
  answer.manifest = *std::move(manifest);
  return answer;
}

std::string encode_advance(const Advance& advance) { return format("{}{} {}\n", kProgress, advance.done, advance.of); }

std::optional<Advance> last_advance(std::string_view lines) {
  const auto end = lines.rfind('\n');
  if (end == std::string_view::npos) return std::nullopt;
  lines = lines.substr(0, end);
  const auto begin = lines.rfind(kProgress);
  if (begin == std::string_view::npos) return std::nullopt;
  const auto numbers = lines.substr(begin + kProgress.size());
  Advance advance;
  const auto* last = numbers.data() + numbers.size();
  const auto first = std::from_chars(numbers.data(), last, advance.done);
  if (first.ec != std::errc() || first.ptr == last) return std::nullopt;
  const auto second = std::from_chars(first.ptr + 1, last, advance.of);
  if (second.ec != std::errc()) return std::nullopt;
  return advance;
}

}  // namespace buildwarden::seeds
