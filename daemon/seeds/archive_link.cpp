// Keeps libarchive's other formats, and the libraries that they need, out of the program.
#include <archive.h>
#include <archive_entry.h>

#include <cerrno>

// Each format of libarchive names this function of its own for an entry that it cannot hold, and the object that has it
// names every format in turn (archive_write_set_format.c, 3.6 to 3.8): XML, zip, ciphers. Defined here it is not taken
// from there. What seeds pack is held by pax.
extern "C" void __archive_write_entry_filetype_unsupported(archive* of, archive_entry* /*entry*/,  // NOLINT
                                                           const char* format) {
  archive_set_error(of, EINVAL, "%s cannot hold a thing of that kind", format);
}
