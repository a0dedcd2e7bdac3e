#include "daemon/last_use/savings_rows.h"

#include <array>
#include <chrono>
#include <cmath>
#include <string_view>

#include "common/format.h"

namespace buildwarden::disk {
namespace {

constexpr std::string_view kTotalRow = "total ";
constexpr std::string_view kDayRow = "day ";
constexpr std::string_view kDeletedRow = "deleted ";
constexpr double kMillisecondsInOne = 1'000;

// The pipeline comes last: it may hold anything.
std::string account_text(const policy::AccountId& id) {
  return format("{} {} {}", policy::to_string(id.account), policy::to_string(id.kind), id.pipeline);
}

std::optional<policy::AccountId> account_of(std::string_view text) {
  for (const auto account : {policy::Account::kSaved, policy::Account::kRegretted}) {
    for (const auto kind : {policy::ThingKind::kImage, policy::ThingKind::kCache}) {
      const auto head = account_text({"", account, kind});
      if (text.starts_with(head)) return policy::AccountId{std::string(text.substr(head.size())), account, kind};
    }
  }
  return std::nullopt;
}

}  // namespace

ports::WorthRow amount_row(std::string id, const policy::Amount& amount, WallTime at) {
  ports::WorthRow row;
  row.id = std::move(id);
  row.seconds = amount.seconds;
  row.history.use.gap = Duration{std::llround(amount.estimated_seconds * kMillisecondsInOne)};
  row.history.use.uses = amount.times;
  row.history.use.first_seen = at;
  row.history.use.last_use = at;
  row.history.unchanged = static_cast<std::uint64_t>(amount.bytes);
  return row;
}

policy::Amount amount_of_row(const ports::WorthRow& row) {
  policy::Amount amount;
  amount.seconds = row.seconds.value_or(0);
  amount.estimated_seconds = std::chrono::duration<double>(row.history.use.gap).count();
  amount.bytes = static_cast<Bytes>(row.history.unchanged);
  amount.times = row.history.use.uses;
  return amount;
}

std::string total_row_id(const policy::AccountId& id) { return format("{}{}", kTotalRow, account_text(id)); }

std::string day_row_id(const policy::AccountId& id) { return format("{}{}", kDayRow, account_text(id)); }

std::string deleted_row_id(const std::string& key) { return format("{}{}", kDeletedRow, key); }

SavingsRow savings_row_of(const std::string& id) {
  SavingsRow row;
  const auto rest = [&id](std::string_view head) { return std::string_view(id).substr(head.size()); };
  if (id.starts_with(kTotalRow)) row.total = account_of(rest(kTotalRow));
  if (id.starts_with(kDayRow)) row.day = account_of(rest(kDayRow));
  if (id.starts_with(kDeletedRow)) row.deleted = std::string(rest(kDeletedRow));
  return row;
}

}  // namespace buildwarden::disk
