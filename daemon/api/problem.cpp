#include "daemon/api/problem.h"

#include <utility>

#include "common/format.h"
#include "common/visible_text.h"
#include "daemon/api/json_text.h"

namespace buildwarden::api {
namespace json = boost::json;

namespace {

struct Meaning {
  int status;
  std::string_view code;
};

Meaning meaning_of(Errc code) {
  switch (code) {
    case Errc::kInvalid: return {400, "invalid"};
    case Errc::kNotFound: return {404, "not_found"};
    case Errc::kConflict: return {409, "conflict"};
    case Errc::kDenied: return {403, "denied"};
    case Errc::kTimeout: return {504, "timeout"};
    case Errc::kUnavailable: return {503, "unavailable"};
    case Errc::kProtocol: return {502, "protocol"};
    case Errc::kTooLarge: return {413, "too_large"};
    case Errc::kCancelled: return {503, "stopping"};
    case Errc::kIo: return {500, "io"};
  }
  return {500, "internal"};
}

}  // namespace

Response problem(int status, std::string_view code, std::string_view detail, json::object more) {
  json::object document;
  document["type"] = format("urn:buildwarden:problem:{}", code);
  document["title"] = status_text(status);
  document["status"] = status;
  document["detail"] = as_utf8(detail);
  document["code"] = code;
  for (auto& [key, value] : more) document[key] = std::move(value);
  Response response;
  response.status = status;
  response.content_type = "application/problem+json";
  response.body = json_text(document);
  return response;
}

Response problem(const Error& error, std::string_view code) {
  const auto meaning = meaning_of(error.code());
  return problem(meaning.status, code.empty() ? meaning.code : code, error.message());
}

}  // namespace buildwarden::api
