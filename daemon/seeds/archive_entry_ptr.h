// libarchive's objects, freed with their owners.
#pragma once

#include <archive.h>
#include <archive_entry.h>

#include <memory>

namespace buildwarden::seeds {

struct FreeReader {
  void operator()(archive* of) const { archive_read_free(of); }
};
struct FreeWriter {
  void operator()(archive* of) const { archive_write_free(of); }
};
struct FreeEntry {
  void operator()(archive_entry* of) const { archive_entry_free(of); }
};
using Reader = std::unique_ptr<archive, FreeReader>;
using Writer = std::unique_ptr<archive, FreeWriter>;
using EntryPtr = std::unique_ptr<archive_entry, FreeEntry>;

}  // namespace buildwarden::seeds
