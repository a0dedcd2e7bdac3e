#include "daemon/instance/intent.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <sstream>

#include "common/atomic_file.h"
#include "common/format.h"

namespace buildwarden::instance {
namespace json = boost::json;

namespace {

constexpr std::int64_t kVersion = 1;
constexpr mode_t kMode = 0644;  // the agent's unit may read whether and why

json::object time_json(const Now& time) {
  json::object object;
  object["at"] = format_rfc3339(time.wall);
  object["boot_ms"] = std::int64_t{time.boot.time_since_epoch().count()};
  return object;
}

Now time_of(const json::object& object) {
  const auto wall = parse_rfc3339(std::string_view(object.at("at").as_string()));
  if (!wall) throw std::invalid_argument(wall.error().message());
  return {*wall, BootTime{Duration{object.at("boot_ms").to_number<std::int64_t>()}}};
}

json::object step_json(const policy::TerminationStep& step) {
  json::object object = time_json(step.at);
  object["step"] = policy::to_string(step.action);
  object["pid"] = step.pid;
  object["pid_started"] = step.pid_started;
  object["decrement"] = step.decrement;
  object["tries"] = step.tries;
  object["outcome"] = policy::to_string(step.outcome);
  return object;
}

policy::TerminationStep step_of(const json::object& object) {
  policy::TerminationStep step;
  const auto action = policy::action_named(std::string_view(object.at("step").as_string()));
  const auto outcome = policy::outcome_named(std::string_view(object.at("outcome").as_string()));
  if (!action || !outcome) throw std::invalid_argument("an unknown step or outcome");
  step.action = *action;
  step.outcome = *outcome;
  step.at = time_of(object);
  step.pid = object.at("pid").to_number<std::int64_t>();
  step.pid_started = object.at("pid_started").to_number<std::uint64_t>();
  step.decrement = object.at("decrement").as_bool();
  step.tries = object.at("tries").to_number<int>();
  return step;
}

std::string text_of(const json::object& object, const char* key) { return std::string(object.at(key).as_string()); }

StoredIntent stored_of(const json::object& object) {
  if (object.at("version").to_number<std::int64_t>() != kVersion) throw std::invalid_argument("another version");
  StoredIntent stored;
  stored.boot_id = text_of(object, "boot_id");
  stored.intent.instance = text_of(object, "instance");
  stored.intent.region = text_of(object, "region");
  stored.intent.device = text_of(object, "device");
  stored.intent.mount = text_of(object, "mount");
  stored.intent.reason = text_of(object, "reason");
  stored.intent.began = time_of(object.at("began").as_object());
  const auto* had_job = object.if_contains("had_job");  // a daemon before this version did not write it
  stored.intent.had_job = had_job != nullptr && had_job->as_bool();
  for (const auto& step : object.at("steps").as_array()) stored.intent.steps.push_back(step_of(step.as_object()));
  return stored;
}

}  // namespace

std::string write_intent(const policy::TerminationIntent& intent, const std::string& boot_id) {
  json::object object;
  object["version"] = kVersion;
  object["boot_id"] = boot_id;
  object["instance"] = intent.instance;
  object["region"] = intent.region;
  object["device"] = intent.device;
  object["mount"] = intent.mount;
  object["reason"] = intent.reason;
  object["began"] = time_json(intent.began);
  object["had_job"] = intent.had_job;
  json::array steps;
  for (const auto& step : intent.steps) steps.push_back(step_json(step));
  object["steps"] = std::move(steps);
  return json::serialize(object) + "\n";
}

Result<StoredIntent> read_intent(const std::string& text) {
  try {
    return stored_of(json::parse(text).as_object());
  } catch (const std::exception& error) {
    return Error(Errc::kInvalid, format("not an intent of a termination: {}", error.what()));
  }
}

Result<std::optional<policy::TerminationIntent>> IntentFile::load() const {
  using Loaded = std::optional<policy::TerminationIntent>;
  const auto text = read_file(path(), kMiB);
  if (!text && text.error().code() == Errc::kNotFound) return Loaded{};
  if (!text) return text.error();
  auto stored = read_intent(*text);
  if (stored && stored->boot_id == boot_id_ && !boot_id_.empty()) return Loaded{std::move(stored->intent)};
  if (auto removed = remove(); !removed) return std::move(removed).error();
  return Error(Errc::kNotFound, stored ? "it was of another boot" : stored.error().message());
}

Result<void> IntentFile::save(const policy::TerminationIntent& intent) const {
  if (boot_id_.empty()) return Error(Errc::kIo, "which boot this is is not known");
  if (auto made = make_folders(folder_); !made) return made;
  return write_file_atomically(path(), write_intent(intent, boot_id_), kMode);
}

Result<void> IntentFile::remove() const {
  if (std::remove(path().c_str()) == 0 || errno == ENOENT) return {};
  return Error::from_errno(errno, path());
}

// The first line is the boot, each further one a device with what its low mark was, in bytes and inodes. A line of an
// older version has no marks and says nothing.
void OnceOk::load() {
  const auto text = read_file(path(), kMiB);
  if (!text || boot_id_.empty()) return;
  std::istringstream lines(*text);
  std::string line;
  if (!std::getline(lines, line) || line != boot_id_) return;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string device;
    Bytes low = 0;
    std::int64_t low_inodes = 0;
    if (words >> device >> low >> low_inodes) devices_[device].emplace(low, low_inodes);
  }
}

bool OnceOk::has(const std::string& device, const policy::Marks& marks) const {
  const auto known = devices_.find(device);
  if (known == devices_.end()) return false;
  return std::any_of(known->second.begin(), known->second.end(),
                     [&marks](const auto& one) { return one.first >= marks.low && one.second >= marks.low_inodes; });
}

bool OnceOk::note(const std::string& device, const policy::Marks& marks) {
  if (has(device, marks)) return false;
  auto& pairs = devices_[device];
  std::erase_if(pairs, [&marks](const auto& one) { return one.first <= marks.low && one.second <= marks.low_inodes; });
  pairs.emplace(marks.low, marks.low_inodes);
  std::string text = boot_id_ + "\n";
  for (const auto& [name, all] : devices_) {
    for (const auto& [low, low_inodes] : all) text += format("{} {} {}\n", name, low, low_inodes);
  }
  if (!boot_id_.empty() && make_folders(folder_)) (void)write_file_atomically(path(), text).ok();
  return true;
}

}  // namespace buildwarden::instance
