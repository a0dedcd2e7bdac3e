#include "daemon/api/page.h"

#include <algorithm>
#include <utility>

#include "daemon/api/attention.h"
#include "daemon/api/page_document.h"

namespace buildwarden::api {
namespace {

Markup notice(std::string_view mood, std::string_view heading, std::string_view text) {
  return html("<li class=\"{}\"><b>{}</b> <span>{}</span></li>", mood, heading, text);
}

// Whether that part is the refused reload: its reason has the first of the mistakes.
bool is_reload(const ports::NotReady& part, const ports::ConfigView& config) {
  if (config.error.empty() || part.part != "config") return false;
  return part.reason.find(config.error.substr(0, config.error.find('\n'))) != std::string::npos;
}

// A refused reload is told once, with all its mistakes.
Markup not_ready_notices(const PageFacts& facts) {
  Markup list;
  bool reload_told = facts.config.error.empty();
  for (const auto& part : facts.not_ready) {
    std::string rest;
    if (is_reload(part, facts.config)) {
      const auto end = facts.config.error.find('\n');
      if (end != std::string::npos) rest = facts.config.error.substr(end);
      reload_told = true;
    }
    list += html("<li class=\"bad\" data-not-ready=\"{}\"><b>{}</b> <span>{}{}</span></li>", part.part, part.part,
                 part.reason, rest);
  }
  if (reload_told) return list;
  list += notice("bad", "The configuration was refused, the one before it is in force", facts.config.error);
  return list;
}

// What a person should do something about, or must know to read the rest right.
Markup notices(const PageFacts& facts) {
  Markup list;
  for (const auto& one : attention_of(facts.disk)) {
    list +=
        html("<li class=\"bad\" data-attention=\"{}\"><b>{}</b> <span>{}</span></li>", one.rule, one.part, one.reason);
  }
  list += not_ready_notices(facts);
  if (facts.dry_run) list += notice("warn", "Dry run", "plans are made and nothing is changed");
  if (facts.config.parameters_awaited) {
    list += notice("warn", "cfn-env is awaited", "until it is there only the gentle steps of the ladder run");
  }
  if (!facts.config.restart_needed.empty()) {
    std::string keys;
    for (const auto& key : facts.config.restart_needed) keys += (keys.empty() ? "" : ", ") + key;
    list += notice("warn", "After a restart", keys);
  }
  for (const auto& root : facts.disk.refused_roots)
    list += notice("warn", "Nothing is deleted in " + root.path, root.reason);
  if (!facts.disk.ledger_error.empty()) list += notice("warn", "Last uses are not kept", facts.disk.ledger_error);
  if (!facts.journal_error.empty()) list += notice("warn", "Decisions are not kept", facts.journal_error);
  return list.empty() ? Markup() : html("<ul class=\"notices\">{}</ul>", list);
}

Markup tile(std::string_view name, const Markup& value, std::string_view more) {
  return html("<div><dt>{}</dt><dd>{}</dd><dd class=\"more\">{}</dd></div>", name, value, more);
}

// The filesystem that jobs wait for with the least space left, by its share.
const ports::FilesystemSnapshot* tightest(const ports::DiskView& view) {
  const ports::FilesystemSnapshot* found = nullptr;
  const auto share = [](const ports::FilesystemSnapshot& disk) {
    return static_cast<double>(disk.reading->free) / static_cast<double>(std::max<Bytes>(disk.reading->total, 1));
  };
  for (const auto& disk : view.filesystems) {
    if (!disk.gate || !disk.reading || !disk.error.empty()) continue;
    if (found == nullptr || share(disk) < share(*found)) found = &disk;
  }
  return found;
}

Markup tiles(const PageFacts& facts) {
  Markup all;
  const auto* disk = tightest(facts.disk);
  all += disk == nullptr ? tile("Free", html("unknown"), "no filesystem that jobs wait for was measured")
                         : tile("Free", size_html(disk->reading->free), disk->mount);
  const auto& builders = facts.builders.builders;
  const auto warm = std::count_if(builders.begin(), builders.end(), [](const ports::BuilderView& one) {
    return one.state == policy::BuilderState::kWarm;
  });
  all += tile("Builders warm", html("{} of {}", warm, builders.size()), "");
  const auto& emulators = facts.emulators.emulators;
  const auto runs = std::count_if(emulators.begin(), emulators.end(), [](const policy::PlatformStatus& one) {
    return one.state == policy::PlatformState::kProven || one.state == policy::PlatformState::kNative;
  });
  all += tile("Platforms", emulators.empty() ? html("off") : html("{} of {}", runs, emulators.size()), "");
  all += tile("Jobs", html("{}", facts.jobs.leases.size()), "");
  Bytes freed = 0;
  for (const auto& rung : facts.disk.rungs) freed += rung.freed;
  all += tile("Freed", size_html(freed), "since the start, as the disk shows it");
  return html("<dl class=\"tiles\">{}</dl>", all);
}

std::string word_of(const PageFacts& facts) {
  if (!facts.not_ready.empty()) return format("not ready: {}", facts.not_ready.size());
  return attention_of(facts.disk).empty() ? "ready" : "no new jobs";
}

Markup summary(const PageFacts& facts) {
  const bool ready = facts.not_ready.empty();
  const bool well = ready && attention_of(facts.disk).empty();
  return html(
      "<section id=\"summary\" data-part data-ready=\"{}\" aria-label=\"Summary\"><header><h1>{}</h1>{}<p>buildwarden "
      "{}, up {}, as of <time datetime=\"{}\">{} UTC</time></p></header>{}{}</section>\n",
      ready ? "yes" : "no", name_html(facts.host), pill_html(word_of(facts), well ? "good" : "bad"), facts.version,
      brief(facts.now.boot - facts.started.boot), format_rfc3339(facts.now.wall),
      format_rfc3339(facts.now.wall).substr(11, 8), notices(facts), tiles(facts));
}

// Each marker once; what is put in is not looked at again.
std::string filled(std::string_view document, const std::vector<std::pair<std::string_view, Markup>>& values) {
  std::string text;
  for (const auto& [marker, value] : values) {
    const auto at = document.find(marker);
    if (at == std::string_view::npos) continue;
    text += document.substr(0, at);
    text += value.text();
    document.remove_prefix(at + marker.size());
  }
  text += document;
  return text;
}

}  // namespace

std::string render_page(const PageFacts& facts) {
  auto sections = summary(facts);
  sections += page_termination(facts);
  sections += page_disks(facts);
  sections += page_next(facts);
  sections += page_checkouts(facts);
  sections += page_builders(facts);
  sections += page_jobs(facts);
  sections += page_savings(facts);
  sections += page_emulators(facts);
  sections += page_prefetch(facts);
  sections += page_seeds(facts);
  sections += page_events(facts);
  const auto title = html("{}: {} - buildwarden", facts.host, word_of(facts));
  return filled(page_document(), {{"{{title}}", title}, {"{{sections}}", sections}});
}

std::string page_policy() {
  return format(
      "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; base-uri "
      "'none'; form-action 'none'; frame-ancestors 'none'",
      page_style_hash(), page_script_hash());
}

}  // namespace buildwarden::api
