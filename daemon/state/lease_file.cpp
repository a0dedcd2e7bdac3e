#include "daemon/state/lease_file.h"

#include <utility>

#include "common/atomic_file.h"
#include "common/format.h"
#include "daemon/state/lease_json.h"
#include "daemon/state/quarantine.h"

namespace buildwarden::state {
namespace {

constexpr Bytes kMostBook = 16 * kMiB;  // more than all leases and folders that may be kept come to

}  // namespace

LeaseFile::LeaseFile(Places places, const Clock& clock, ports::Journal& journal)
    : places_(std::move(places)), clock_(clock), journal_(journal) {}

ports::LeaseBook LeaseFile::load_leases() {
  const auto text = read_file(path(), kMostBook);
  if (!text && text.error().code() == Errc::kNotFound) return {};
  if (!text) {
    journal_.record(unreadable_event("The leases of earlier jobs", text.error()));
    return {};
  }
  auto document = read_leases(*text);
  if (!document) return give_up(document.error().message());
  const auto boot_id = read_boot_id(places_.boot_id);
  if (!boot_id) return give_up(format("this boot is not known: {}", boot_id.error().message()));
  if (document->boot_id != *boot_id) return give_up(format("it is of another boot, {}", document->boot_id));
  return std::move(document->book);
}

Result<void> LeaseFile::save_leases(const ports::LeaseBook& book) {
  auto boot_id = read_boot_id(places_.boot_id);
  if (!boot_id) return std::move(boot_id).error();
  if (auto made = make_folders(places_.folder); !made) return made;
  return replace_file(path(), write_leases(LeaseDocument{*std::move(boot_id), book}), kPrivateMode);
}

ports::LeaseBook LeaseFile::give_up(const std::string& why) {
  journal_.record(quarantined_event(path(), why, quarantine(path(), clock_.now().wall)));
  return {};
}

}  // namespace buildwarden::state
