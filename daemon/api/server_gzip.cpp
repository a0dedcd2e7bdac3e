#include "daemon/api/server_gzip.h"

#include <array>
#include <boost/beast/zlib/deflate_stream.hpp>
#include <boost/crc.hpp>
#include <charconv>
#include <cstdint>
#include <utility>

namespace buildwarden::api {
namespace zlib = boost::beast::zlib;

namespace {

constexpr int kLevel = 1;  // 100 MB/s; higher ones win a tenth and take three times as long
constexpr int kWindowBits = 15;
constexpr int kMemoryLevel = 8;

std::uint32_t crc32(std::string_view text) {
  boost::crc_32_type crc;
  crc.process_bytes(text.data(), text.size());
  return crc.checksum();
}

void append_little_endian(std::string& text, std::uint32_t value) {
  for (unsigned shift = 0; shift < 32; shift += 8) text += static_cast<char>((value >> shift) & 0xFFU);
}

// Of "gzip;q=0.5" its weight; 1 without one, 0 for one that is no number.
double weight_of(std::string_view parameters) {
  const auto at = parameters.find("q=");
  if (at == std::string_view::npos) return 1;
  double weight = 0;
  const auto* const begin = parameters.data() + at + 2;
  std::from_chars(begin, parameters.data() + parameters.size(), weight);
  return weight;
}

}  // namespace

bool accepts_gzip(std::string_view rest) {
  std::optional<bool> named;
  bool any = false;
  while (!rest.empty()) {
    auto one = take_until(rest, ',');
    const auto name = trim_blanks(take_until(one, ';'));
    const bool wanted = weight_of(one) > 0;
    if (equals_ignoring_case(name, "gzip") || equals_ignoring_case(name, "x-gzip")) named = wanted;
    if (name == "*") any = wanted;
  }
  return named.value_or(any);
}

std::optional<std::string> gzip(std::string_view text) {
  static constexpr std::array<unsigned char, 10> kHead = {0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 4, 0xFF};
  zlib::deflate_stream deflate;
  deflate.reset(kLevel, kWindowBits, kMemoryLevel, zlib::Strategy::normal);
  std::string packed(kHead.begin(), kHead.end());
  packed.resize(kHead.size() + deflate.upper_bound(text.size()));
  zlib::z_params parameters;
  parameters.next_in = text.data();
  parameters.avail_in = text.size();
  parameters.next_out = packed.data() + kHead.size();
  parameters.avail_out = packed.size() - kHead.size();
  boost::system::error_code failed;
  deflate.write(parameters, zlib::Flush::finish, failed);
  if (failed != zlib::error::end_of_stream || parameters.avail_in != 0) return std::nullopt;
  packed.resize(packed.size() - parameters.avail_out);
  append_little_endian(packed, crc32(text));
  append_little_endian(packed, static_cast<std::uint32_t>(text.size()));
  return packed;
}

void gzip_if_asked(const Request& request, Response& response) {
  const bool is_read = request.method == "GET" || request.method == "HEAD";
  const auto size = response.body.size();
  if (!is_read || response.stream || response.status != 200 || size < kLeastGzipped || size > kMostGzipped) return;
  response.headers.emplace_back("Vary", "Accept-Encoding");
  if (!accepts_gzip(request.header("Accept-Encoding"))) return;
  auto packed = gzip(response.body);
  if (!packed || packed->size() >= size) return;
  response.body = *std::move(packed);
  response.headers.emplace_back("Content-Encoding", "gzip");
}

}  // namespace buildwarden::api
