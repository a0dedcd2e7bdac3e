// SQLite with errors as values and handles that close themselves.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/result.h"

namespace buildwarden::state {

// A prepared statement; parameters count from 1, columns from 0. Must not outlive its connection.
class Statement {
 public:
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}
  // The text is copied.
  void bind(int at, std::string_view text);
  void bind(int at, std::int64_t number);
  // true: a row is there; false: it has ended.
  Result<bool> step();
  // To the end, then ready to be bound anew.
  Result<void> run();
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] std::int64_t number(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

// kConflict: another process holds the database; kInvalid: damaged, unreadable or not a database; kTooLarge: the disk
// or the database is full; kDenied, kIo: cannot be opened or written.
class Connection {
 public:
  // A write-ahead log stays as it is when the connection closes: on a full disk a new one could not be made.
  static Result<Connection> open(const std::string& path);
  Result<void> execute(const std::string& sql);
  Result<Statement> prepare(const std::string& sql);
  // The single number of a query such as a pragma.
  Result<std::int64_t> number(const std::string& sql);
  Result<std::string> text(const std::string& sql);

 private:
  struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
  };
  explicit Connection(sqlite3* handle) : handle_(handle) {}
  std::unique_ptr<sqlite3, Close> handle_;
};

// All or nothing: rolled back unless commit() succeeded. Must not outlive its connection.
class Transaction {
 public:
  static Result<Transaction> begin(Connection& connection);
  Transaction(Transaction&& other) noexcept : connection_(other.connection_) { other.connection_ = nullptr; }
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  Result<void> commit();

 private:
  explicit Transaction(Connection* connection) : connection_(connection) {}
  Connection* connection_;
};

}  // namespace buildwarden::state
