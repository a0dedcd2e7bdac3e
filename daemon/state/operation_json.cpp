#include "daemon/state/operation_json.h"

#include <boost/json.hpp>
#include <exception>
#include <utility>

#include "common/format.h"
#include "daemon/state/json_fields.h"

namespace buildwarden::state {
namespace json = boost::json;

namespace {

constexpr std::int64_t kOperationsVersion = 1;

json::object time_json(const Now& time) {
  json::object object;
  object["wall_ms"] = std::int64_t{time.wall.time_since_epoch().count()};
  object["boot_ms"] = std::int64_t{time.boot.time_since_epoch().count()};
  return object;
}

Now time_of(const json::object& object) {
  return {WallTime{Duration{object.at("wall_ms").to_number<std::int64_t>()}},
          BootTime{Duration{object.at("boot_ms").to_number<std::int64_t>()}}};
}

json::object object_of(const ports::StoredOperation& operation) {
  json::object object;
  object["id"] = operation.id;
  object["kind"] = operation.kind;
  object["owner"] = std::int64_t{operation.owner};
  object["started"] = time_json(operation.started);
  object["finished"] = operation.finished ? json::value(time_json(*operation.finished)) : json::value();
  object["interrupted"] = operation.interrupted;
  object["status"] = operation.status;
  object["content_type"] = operation.content_type;
  object["body"] = operation.body;
  return object;
}

ports::StoredOperation operation_of(const json::object& object) {
  ports::StoredOperation operation;
  operation.id = text_at(object, "id");
  operation.kind = text_at(object, "kind");
  operation.owner = object.at("owner").to_number<uid_t>();
  operation.started = time_of(object.at("started").as_object());
  const auto& finished = object.at("finished");
  if (!finished.is_null()) operation.finished = time_of(finished.as_object());
  operation.interrupted = object.at("interrupted").as_bool();
  operation.status = object.at("status").to_number<int>();
  operation.content_type = text_at(object, "content_type");
  operation.body = text_at(object, "body");
  return operation;
}

// Throws what Boost.JSON throws for a missing key or a wrong type.
Result<OperationDocument> operations_of(const json::object& object) {
  if (auto known = check_version(object, kOperationsVersion); !known) return std::move(known).error();
  OperationDocument document;
  document.boot_id = text_at(object, "boot_id");
  for (const auto& one : object.at("operations").as_array()) {
    document.operations.push_back(operation_of(one.as_object()));
  }
  return document;
}

}  // namespace

std::string write_operations(const OperationDocument& document) {
  json::array operations;
  for (const auto& operation : document.operations) operations.push_back(object_of(operation));
  json::object object;
  object["version"] = kOperationsVersion;
  object["boot_id"] = document.boot_id;
  object["operations"] = std::move(operations);
  return json::serialize(object);
}

Result<OperationDocument> read_operations(std::string_view text) {
  try {
    json::parse_options options;
    options.allow_invalid_utf8 = true;  // results quote what others sent
    json::error_code failure;
    const auto value = json::parse(json::string_view(text.data(), text.size()), failure, {}, options);
    if (failure) return Error(Errc::kInvalid, format("not JSON: {}", failure.message()));
    return operations_of(value.as_object());
  } catch (const std::exception& error) {
    return Error(Errc::kInvalid, format("not a document of operations: {}", error.what()));
  }
}

}  // namespace buildwarden::state
