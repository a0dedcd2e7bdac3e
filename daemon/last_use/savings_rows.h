// Amounts of what was saved, regretted and deleted as rows of the store.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/policy/savings.h"
#include "daemon/ports/worth.h"

namespace buildwarden::disk {

// A row of an amount: its seconds are the row's `seconds`, of these the estimated ones its `gap`, its bytes its
// `unchanged`, the time its `last_use`.
ports::WorthRow amount_row(std::string id, const policy::Amount& amount, WallTime at);
policy::Amount amount_of_row(const ports::WorthRow& row);

// The ids of the two rows of an account: of all the time, and of its last day.
std::string total_row_id(const policy::AccountId& id);
std::string day_row_id(const policy::AccountId& id);
std::string deleted_row_id(const std::string& key);

// What a row is of; nothing of all of these: it is another's.
struct SavingsRow {
  std::optional<policy::AccountId> total;
  std::optional<policy::AccountId> day;
  std::optional<std::string> deleted;  // the key
};
SavingsRow savings_row_of(const std::string& id);

}  // namespace buildwarden::disk
