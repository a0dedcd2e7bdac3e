// Errors as values: Result<T> is either a T or an Error that says, outermost first, what was being done.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace buildwarden {

// What a caller may decide on; the text is for people only.
enum class Errc : std::uint8_t {
  kInvalid,      // the input is wrong and will stay wrong
  kNotFound,     // what was asked for is not there
  kConflict,     // the state of the other side forbids it now (HTTP 409)
  kDenied,       // the peer or the kernel refuses
  kTimeout,      // no answer within the deadline; it may have happened all the same
  kUnavailable,  // the other side is absent or not answering
  kProtocol,     // the other side's answer could not be understood
  kTooLarge,     // a limit on size was met
  kCancelled,    // we were asked to stop
  kIo,           // the kernel reported an error
};

std::string_view to_string(Errc code);

class Error {
 public:
  Error(Errc code, std::string message) : code_(code), message_(std::move(message)) {}

  // "<doing>: <errno text>", with the code that fits the errno.
  static Error from_errno(int error_number, std::string_view doing);

  // The same error with "<doing>: " in front.
  [[nodiscard]] Error with_context(std::string_view doing) &&;

  [[nodiscard]] Errc code() const { return code_; }
  [[nodiscard]] const std::string& message() const { return message_; }

 private:
  Errc code_;
  std::string message_;
};

template <class T>
class [[nodiscard]] Result {
 public:
  using Value = T;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  // The value; calling these on an error throws std::bad_variant_access (a programming error).
  T& operator*() & { return std::get<0>(state_); }
  const T& operator*() const& { return std::get<0>(state_); }
  T&& operator*() && { return std::get<0>(std::move(state_)); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }

  [[nodiscard]] const Error& error() const& { return std::get<1>(state_); }
  [[nodiscard]] Error&& error() && { return std::get<1>(std::move(state_)); }

  // The value, or `fallback` on an error: only where an absent answer and `fallback` mean the same.
  [[nodiscard]] T value_or(T fallback) && { return ok() ? std::get<0>(std::move(state_)) : std::move(fallback); }

  [[nodiscard]] Result with_context(std::string_view doing) && {
    if (ok()) return std::move(*this);
    return std::get<1>(std::move(state_)).with_context(doing);
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  [[nodiscard]] const Error& error() const& { return std::get<1>(state_); }
  [[nodiscard]] Error&& error() && { return std::get<1>(std::move(state_)); }

  [[nodiscard]] Result with_context(std::string_view doing) && {
    if (ok()) return {};
    return std::get<1>(std::move(state_)).with_context(doing);
  }

 private:
  std::variant<std::monostate, Error> state_;
};

}  // namespace buildwarden
