#include "daemon/reload.h"

#include <algorithm>
#include <utility>

#include "common/format.h"
#include "common/log.h"

namespace buildwarden {
namespace {

constexpr Duration kFilesPatience = std::chrono::seconds{2};  // for the files; less than the time that a stop may take
constexpr std::size_t kMostTold = 4096;                       // bytes of a list in an event

std::string cause_text(ReloadCause cause) { return cause == ReloadCause::kSignal ? "on request" : "by itself"; }

std::string rule_of(ReloadCause cause) { return cause == ReloadCause::kSignal ? "signal" : "files"; }

void add_told(std::string& text, const std::string& separator, const std::string& more) {
  if (text.size() + more.size() > kMostTold) return;
  text += (text.empty() ? "" : separator) + more;
}

std::string changes_text(const std::vector<config::Change>& changes) {
  std::string text;
  for (const auto& change : changes) {
    add_told(text, "; ",
             format("{}: {} -> {}", change.key, change.before.empty() ? "none" : change.before,
                    change.after.empty() ? "none" : change.after));
  }
  return text;
}

std::string first_line(const std::string& text) {
  const auto lines = 1 + std::count(text.begin(), text.end(), '\n');
  const auto first = text.substr(0, text.find('\n'));
  return lines == 1 ? first : format("{} (and {} more)", first, lines - 1);
}

std::string on_one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ';');
  return text.substr(0, kMostTold);
}

}  // namespace

Reload::Reload(Parts parts) : parts_(std::move(parts)), loaded_at_(parts_.clock.now().wall) {}

boost::asio::awaitable<void> Reload::turn(ReloadCause cause) {
  const bool told = cause != ReloadCause::kStart;
  if (told) parts_.notify(true);
  auto request = parts_.request;
  request.sources = config::Sources(parts_.in_force.texts);
  std::function<Result<config::Loaded>()> work = [request = std::move(request)] { return config::load(request); };
  auto fresh = co_await parts_.files.compute<config::Loaded>(std::move(work), kFilesPatience);
  if (fresh) {
    take(*std::move(fresh), cause);
  } else if (fresh.error().code() != Errc::kCancelled) {
    refuse(fresh.error(), cause);
  }
  if (told) parts_.notify(false);
}

void Reload::take(config::Loaded fresh, ReloadCause cause) {
  const auto changes = config::compare(parts_.in_force, fresh);
  const bool mended = !std::exchange(error_, "").empty();
  const bool parameters = fresh.cfn_env_read != parts_.in_force.cfn_env_read;
  for (const auto& warning : fresh.warnings) {
    const auto& old = parts_.in_force.warnings;
    if (std::find(old.begin(), old.end(), warning) == old.end()) log_warning(warning);
  }
  config::adopt(parts_.in_force, std::move(fresh));
  tell_distrusted();
  loaded_at_ = parts_.clock.now().wall;
  if (cause != ReloadCause::kStart) ++taken_;
  if (!changes.empty() || parameters) parts_.apply();
  const bool asked = cause == ReloadCause::kSignal;
  if (asked || mended || parameters || !changes.empty()) record_taken(changes, cause);
}

void Reload::tell_distrusted() {
  const auto& now = parts_.in_force.distrusted;
  if (now == told_distrusted_) return;
  const bool mended = now.empty();
  told_distrusted_ = now;
  ports::Event event;
  event.kind = "config.distrusted";
  event.severity = mended ? ports::Severity::kInfo : ports::Severity::kWarning;
  event.rule = mended ? "mended" : "not_roots_alone";
  std::string text;
  for (const auto& one : now) add_told(text, "; ", one);
  event.reason = mended ? "each file of the configuration counts again" : text;
  // A job may move its files to and fro.
  event.fields = {{"files", static_cast<std::int64_t>(now.size())}, {ports::kOnDemandField, true}};
  parts_.journal.record(std::move(event));
}

void Reload::refuse(const Error& error, ReloadCause cause) {
  ++refused_;
  const bool known = std::exchange(error_, error.message()) == error.message();
  if (known && cause != ReloadCause::kSignal) return;
  ports::Event event;
  event.kind = "config.refused";
  event.severity = ports::Severity::kError;
  event.rule = rule_of(cause);
  event.reason = format("the configuration was loaded again {} and is refused, the old one stays in force: {}",
                        cause_text(cause), first_line(error.message()));
  event.fields = {{"errors", on_one_line(error.message())}};
  parts_.journal.record(std::move(event));
}

void Reload::record_taken(const std::vector<config::Change>& changes, ReloadCause cause) {
  std::string waiting;
  for (const auto& change : changes) {
    if (change.needs_restart) add_told(waiting, ", ", change.key);
  }
  ports::Event event;
  event.kind = "config.reloaded";
  event.severity = waiting.empty() ? ports::Severity::kInfo : ports::Severity::kWarning;
  event.rule = rule_of(cause);
  event.reason =
      format("the configuration was loaded again {}: {} {} changed{}", cause_text(cause), changes.size(),
             changes.size() == 1 ? "value" : "values", waiting.empty() ? "" : "; a restart is needed for " + waiting);
  event.fields = {{"changed", static_cast<std::int64_t>(changes.size())},
                  {"changes", changes_text(changes)},
                  {"restart_needed", waiting},
                  {"cfn_env_read", parts_.in_force.cfn_env_read}};
  parts_.journal.record(std::move(event));
}

ports::ConfigView Reload::config_view() const {
  ports::ConfigView view;
  view.file = parts_.request.yaml_path;
  view.loaded_at = loaded_at_;
  view.taken = taken_;
  view.refused = refused_;
  view.error = error_;
  for (const auto& value : parts_.in_force.values) {
    if (!value.after_restart.empty()) view.restart_needed.push_back(value.key);
  }
  view.parameters_awaited = parts_.parameters_awaited && parts_.parameters_awaited();
  return view;
}

std::optional<ports::NotReady> Reload::not_ready() const {
  if (!error_.empty()) {
    return ports::NotReady{"config", "the last reload was refused, the old one is in force: " + first_line(error_)};
  }
  if (!parts_.in_force.distrusted.empty()) return ports::NotReady{"config", parts_.in_force.distrusted.front()};
  return std::nullopt;
}

}  // namespace buildwarden
