#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "common/format.h"
#include "common/visible_text.h"
#include "daemon/cli/answer.h"
#include "daemon/cli/client.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/show.h"
#include "daemon/cli/table.h"

namespace buildwarden::cli {
namespace json = boost::json;

namespace {

// What takes the room, for the filesystems of which that is known.
std::string users_table(const json::array& filesystems, const Terminal& terminal) {
  std::vector<std::vector<std::string>> rows = {{"MOUNT", "USER", "NAME", "SIZE", "SEEN"}};
  for (const auto& filesystem : filesystems) {
    for (const auto& user : list(filesystem, "users")) {
      rows.push_back({text(filesystem, "mount"), text(user, "kind"), text(user, "name"), size(user, "bytes"),
                      when(user, "looked_at", terminal)});
    }
    if (number(filesystem, "unattributed_bytes")) {
      rows.push_back({text(filesystem, "mount"), "unattributed", "not Docker's, and root's reserve",
                      size(filesystem, "unattributed_bytes"), when(filesystem, "measured_at", terminal)});
    }
  }
  return rows.size() == 1 ? "" : "\n" + table(std::move(rows), terminal);
}

using Rows = std::vector<std::vector<std::string>>;

constexpr Duration kPlanPatience = std::chrono::seconds{15};
constexpr std::size_t kFirstShown = 15;
constexpr std::size_t kLastShown = 5;
constexpr std::size_t kKeptShown = 15;

std::string kind_of(const json::value& thing) {
  auto kind = text(thing, "rung");
  std::replace(kind.begin(), kind.end(), '_', ' ');
  return kind;
}

std::vector<std::string> step_row(const json::value& step, const Terminal& terminal) {
  const auto gives_back = number(step, "reported_bytes").value_or(0);
  const auto why = text(step, "why");
  auto next = format("{}", number(step, "place").value_or(0));
  if (!why.empty()) next += ": " + why;
  return {kind_of(step),
          text(step, "what"),
          format_bytes(gives_back + number(step, "shared_bytes").value_or(0)),
          format_bytes(gives_back),
          when(step, "last_used_at", terminal),
          next};
}

std::vector<std::string> kept_row(const json::value& kept, const Terminal& terminal) {
  return {kind_of(kept),
          text(kept, "what"),
          size(kept, "size_bytes"),
          "-",
          when(kept, "last_used_at", terminal),
          "stays: " + text(kept, "reason")};
}

// The first that go, and the last, which are worth the most.
void add_steps(Rows& rows, const json::array& steps, std::size_t left_off, const Terminal& terminal) {
  const bool is_short = steps.size() <= kFirstShown + kLastShown;
  const auto first = is_short ? steps.size() : kFirstShown;
  const auto last = is_short ? steps.size() : steps.size() - kLastShown;
  for (std::size_t i = 0; i < first; ++i) rows.push_back(step_row(steps[i], terminal));
  if (last > first) rows.push_back({"...", format("{} more", last - first + left_off), "", "", "", ""});
  for (std::size_t i = last; i < steps.size(); ++i) rows.push_back(step_row(steps[i], terminal));
}

// Everything that may go, in its order, and what stays; "" when there is nothing of either.
std::string plan_table(const json::value& plan, const Terminal& terminal) {
  Rows rows = {{"KIND", "NAME", "SIZE", "GIVES BACK", "LAST USED", "NEXT"}};
  add_steps(rows, list(plan, "steps"), static_cast<std::size_t>(number(plan, "left_off").value_or(0)), terminal);
  const auto& kept = list(plan, "kept");
  for (std::size_t i = 0; i < std::min(kept.size(), kKeptShown); ++i) rows.push_back(kept_row(kept[i], terminal));
  const auto left_off = std::max<std::int64_t>(number(plan, "kept_left_off").value_or(0), 0);
  const auto more = kept.size() - std::min(kept.size(), kKeptShown) + static_cast<std::size_t>(left_off);
  if (more > 0) rows.push_back({"...", format("{} more", more), "", "", "", "stay"});
  return rows.size() == 1 ? "nothing that could be deleted is there\n" : table(std::move(rows), terminal);
}

std::string plan_text(const Result<Answer>& plan, const Terminal& terminal) {
  if (!plan) return visible(format("what goes next is not known: {}", plan.error().message())) + "\n";
  if (!plan->good()) return visible(format("what goes next is not known: {}", problem_text(*plan))) + "\n";
  const auto incomplete = "not everything could be listed: `buildwarden events` says why\n";
  return plan_table(plan->json, terminal) + (truth(plan->json, "complete") ? "" : incomplete);
}

}  // namespace

std::string refused_lines(const json::value& answer) {
  std::string lines;
  for (const auto& root : list(answer, "refused_roots")) {
    lines += visible(format("nothing is deleted in {}: {}", text(root, "path"), text(root, "reason"))) + "\n";
  }
  const auto unknown = text(member(answer, "image_store"), "unknown");
  if (unknown.empty()) return lines;
  return lines + visible(format("no image is deleted: where containerd has them is not known ({})", unknown)) + "\n";
}

int show_disk(const Context& context) {
  const Client client(context, context.patience);
  return print_answer(context, client.get("/v1/disk"),
                      [&client, terminal = context.terminal()](const json::value& answer) {
                        const auto plan = client.with_patience(kPlanPatience).get("/v1/disk/plan");
                        const auto& filesystems = list(answer, "filesystems");
                        const auto refused = refused_lines(answer);
                        return filesystems_table(filesystems, terminal) + users_table(filesystems, terminal) + "\n" +
                               plan_text(plan, terminal) + (refused.empty() ? "" : "\n" + refused);
                      });
}

}  // namespace buildwarden::cli
