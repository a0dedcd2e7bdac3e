#include "common/result.h"

#include <cerrno>
#include <system_error>

namespace buildwarden {
namespace {

Errc code_of(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ENOTDIR: return Errc::kNotFound;
    case EACCES:
    case EPERM:
    case EROFS: return Errc::kDenied;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE: return Errc::kUnavailable;
    case ETIMEDOUT: return Errc::kTimeout;
    case EEXIST:
    case EBUSY: return Errc::kConflict;
    case EINVAL: return Errc::kInvalid;
    case ECANCELED: return Errc::kCancelled;
    default: return Errc::kIo;
  }
}

}  // namespace

std::string_view to_string(Errc code) {
  switch (code) {
    case Errc::kInvalid: return "invalid";
    case Errc::kNotFound: return "not_found";
    case Errc::kConflict: return "conflict";
    case Errc::kDenied: return "denied";
    case Errc::kTimeout: return "timeout";
    case Errc::kUnavailable: return "unavailable";
    case Errc::kProtocol: return "protocol";
    case Errc::kTooLarge: return "too_large";
    case Errc::kCancelled: return "cancelled";
    case Errc::kIo: return "io";
  }
  return "io";
}

Error Error::from_errno(int error_number, std::string_view doing) {
  return Error(code_of(error_number), std::generic_category().message(error_number)).with_context(doing);
}

Error Error::with_context(std::string_view doing) && {
  message_.insert(0, ": ");
  message_.insert(0, doing);
  return std::move(*this);
}

}  // namespace buildwarden
