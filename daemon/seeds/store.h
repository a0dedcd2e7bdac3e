// What lies at a place: a manifest and the parts that it names. For the seeds' own process: everything here blocks.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/result.h"
#include "common/unique_fd.h"
#include "daemon/seeds/place.h"

namespace buildwarden::seeds {

// A part that is being read or written through a descriptor.
class PartStream {
 public:
  virtual ~PartStream() = default;
  [[nodiscard]] virtual int descriptor() const = 0;
  // After the last byte: whether all of it came, or went. Without it what was written is no part. Once.
  virtual Result<void> finish() = 0;
};

class Store {
 public:
  virtual ~Store() = default;
  // kNotFound: there is no seed; kDenied: the right to ask is missing; kUnavailable: nobody answers.
  virtual Result<std::string> manifest() = 0;
  // From now on this is the seed; the one before it is none from the same moment on.
  virtual Result<void> publish(const std::string& manifest) = 0;
  virtual Result<std::unique_ptr<PartStream>> read_part(const std::string& name) = 0;
  virtual Result<std::unique_ptr<PartStream>> write_part(const std::string& name) = 0;
  // Names of all parts that are there, of whichever seed.
  virtual Result<std::vector<std::string>> part_names() = 0;
  virtual Result<void> remove_part(const std::string& name) = 0;
};

// `may_make`: for a task that writes there (order.h). Others make nothing, and may not even: their unit is read-only.
// kNotFound: the location is not there, which is never made, since it may be a mount that is missing; or, without
// `may_make`, that nothing of this builder lies there yet.
Result<std::unique_ptr<Store>> open_store(const Place& place, bool may_make);

// By a folder, and by the AWS CLI.
Result<std::unique_ptr<Store>> open_folder_store(const Place& place, bool may_make);
std::unique_ptr<Store> open_s3_store(const Place& place);

}  // namespace buildwarden::seeds
