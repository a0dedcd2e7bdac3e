#include "daemon/state/operation_file.h"

#include <utility>

#include "common/atomic_file.h"
#include "common/format.h"
#include "daemon/state/operation_json.h"
#include "daemon/state/quarantine.h"

namespace buildwarden::state {
namespace {

constexpr Bytes kLargest = 16 * kMiB;  // what is saved is far smaller

}  // namespace

OperationFile::OperationFile(Places places, const Clock& clock, ports::Journal& journal)
    : places_(std::move(places)), clock_(clock), journal_(journal) {}

std::vector<ports::StoredOperation> OperationFile::load_operations() {
  const auto text = read_file(path(), kLargest);
  if (!text && text.error().code() == Errc::kNotFound) return {};
  if (!text && text.error().code() != Errc::kTooLarge) {
    journal_.record(unreadable_event("The operations of the daemon before this one", text.error()));
    return {};
  }
  auto document = text ? read_operations(*text) : Result<OperationDocument>(text.error());
  if (!document) {
    const auto moved = quarantine(path(), clock_.now().wall);
    journal_.record(quarantined_event(path(), document.error().message(), moved));
    return {};
  }
  const auto boot_id = read_boot_id(places_.boot_id);
  if (!boot_id || document->boot_id != *boot_id) return {};
  return std::move(document->operations);
}

Result<void> OperationFile::save_operations(const std::vector<ports::StoredOperation>& operations) {
  auto boot_id = read_boot_id(places_.boot_id);
  if (!boot_id) return std::move(boot_id).error();
  if (auto made = make_folders(places_.folder); !made) return made;
  return write_file_atomically(path(), write_operations(OperationDocument{*std::move(boot_id), operations}),
                               kPrivateMode);
}

}  // namespace buildwarden::state
