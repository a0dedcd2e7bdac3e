#include "common/http_answer.h"

#include <array>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/optional.hpp>
#include <cstdint>

namespace buildwarden {
namespace asio = boost::asio;
namespace http = boost::beast::http;

namespace {

constexpr std::size_t kReadSize = 65'536;
constexpr std::size_t kLarge = 1'048'576;
constexpr std::size_t kAtOnce = 67'108'864;

// A body as a string that grows with what really arrives: Beast's own string_body reserves what Content-Length claims.
struct GrowingBody {
  using value_type = std::string;

  class reader {  // NOLINT(readability-identifier-naming): the Body requirements name it
   public:
    template <bool isRequest, class Fields>
    reader(http::header<isRequest, Fields>& /*head*/, value_type& body) : body_(body) {}
    void init(const boost::optional<std::uint64_t>& /*length*/, boost::system::error_code& ec) { ec = {}; }
    template <class Buffers>
    std::size_t put(const Buffers& buffers, boost::system::error_code& ec) {
      ec = {};
      std::size_t taken = 0;
      for (const asio::const_buffer piece : boost::beast::buffers_range_ref(buffers)) {
        make_room(piece.size());
        body_.append(static_cast<const char*>(piece.data()), piece.size());
        taken += piece.size();
      }
      return taken;
    }
    void finish(boost::system::error_code& ec) { ec = {}; }

   private:
    // Growing by doubling would copy tens of megabytes in one go, and the loop waits for it. Memory that is not written
    // to costs nothing.
    void make_room(std::size_t more) {
      const bool grows = body_.size() + more > body_.capacity();
      if (grows && body_.size() >= kLarge && body_.capacity() < kAtOnce) body_.reserve(kAtOnce);
    }
    value_type& body_;
  };
};

Error meaning_of(const boost::system::error_code& ec) {
  if (ec == http::error::body_limit) return Error(Errc::kTooLarge, "the answer is larger than allowed");
  if (ec == http::error::partial_message || ec == http::error::end_of_stream) {
    return Error(Errc::kUnavailable, "the connection ended within the answer");
  }
  return Error(Errc::kProtocol, "the answer is not HTTP: " + ec.message());
}

}  // namespace

struct HttpAnswer::State {
  explicit State(HttpConnection& link) : connection(link) {}
  HttpConnection& connection;
  http::response_parser<GrowingBody> parser;
  boost::beast::flat_buffer unparsed;
};

HttpAnswer::HttpAnswer(HttpConnection& connection, std::optional<Bytes> max_body, bool without_body)
    : state_(std::make_unique<State>(connection)) {
  auto& parser = state_->parser;
  parser.eager(true);
  parser.skip(without_body);
  if (max_body) {
    parser.body_limit(static_cast<std::uint64_t>(*max_body));
  } else {
    parser.body_limit(boost::none);
  }
}

HttpAnswer::~HttpAnswer() = default;

Result<void> HttpAnswer::parse(bool ended) {
  auto& parser = state_->parser;
  boost::system::error_code ec;
  while (!parser.is_done() && state_->unparsed.size() > 0) {
    const auto used = parser.put(state_->unparsed.data(), ec);
    state_->unparsed.consume(used);
    if (ec && ec != http::error::need_more) return meaning_of(ec);
    if (used == 0) break;
  }
  if (!ended || parser.is_done()) return {};
  if (!parser.got_some()) return Error(Errc::kUnavailable, "the connection ended without an answer");
  parser.put_eof(ec);
  if (ec) return meaning_of(ec);
  return {};
}

asio::awaitable<Result<bool>> HttpAnswer::read_some() {
  if (state_->parser.is_done()) co_return false;
  const auto into = state_->unparsed.prepare(kReadSize);
  auto got = co_await state_->connection.read(into);
  if (!got) co_return std::move(got).error();
  state_->unparsed.commit(*got);
  auto parsed = parse(*got == 0);
  if (!parsed) co_return std::move(parsed).error();
  co_return true;
}

asio::awaitable<Result<void>> HttpAnswer::read_head() {
  while (!state_->parser.is_header_done()) {
    auto more = co_await read_some();
    if (!more) co_return std::move(more).error();
  }
  co_return Result<void>{};
}

HttpResponse HttpAnswer::head() const {
  const auto& message = state_->parser.get();
  HttpResponse head;
  head.status = static_cast<int>(message.result_int());
  for (const auto& field : message) {
    head.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  }
  return head;
}

std::string& HttpAnswer::body() { return state_->parser.get().body(); }

}  // namespace buildwarden
