// Rings and tables that must send each key where another system sends it.
#include <banyan/hashing/envoy_maglev.hpp>
#include <banyan/hashing/envoy_ring.hpp>
#include <banyan/hashing/ketama_ring.hpp>
#include <banyan/hashing/nginx_ring.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/catch.hpp"

namespace {

struct ketama_value {
  const char* key;
  std::uint32_t point;
  std::uint32_t landing;
  const char* server;
};

// As libmemcached computes them, for the servers below.
constexpr ketama_value ketama_values[] = {
    {"SVa_]_V41)", 443691461U, 445379617U, "10.0.1.7"},    {"*/Z;?V(.\\8", 1422915503U, 1428303028U, "10.0.1.1"},
    {"30C1*Z*S/_", 1473165754U, 1480075959U, "10.0.1.2"},  {"ERR:EC58G>", 2148406511U, 2168579133U, "10.0.1.7"},
    {"1I=cTMNTKF", 2882686667U, 2885206587U, "10.0.1.5"},  {"]VG<`I*Z8)", 1103544263U, 1104827657U, "10.0.1.5"},
    {"UUTC`-V159", 3716288206U, 3727224240U, "10.0.1.5"},  {"@7RU6C6T+Z", 3862737685U, 3871917949U, "10.0.1.5"},
    {"/XLN0@+36;", 1623269830U, 1627683651U, "10.0.1.1"},  {"4(`X;\\V.^c", 373546328U, 383925769U, "10.0.1.1"},
    {"726bW=9*a4", 4213440020U, 4213950705U, "10.0.1.7"},  {"\\`)<B)UE,c", 951096736U, 955226069U, "10.0.1.1"},
    {"P1[Ma3=K1/", 1989324036U, 1994028240U, "10.0.1.8"},  {"C89I.-V?cT", 1604239957U, 1606398093U, "10.0.1.8"},
    {"D[HE+cFXDK", 2117036136U, 2117124014U, "10.0.1.3"},  {"P1L?NAB[)K", 2129972569U, 2132542634U, "10.0.1.1"},
    {"cDT0)Z5P6,", 176485284U, 178675413U, "10.0.1.5"},    {"@JW`+[WAO8", 2720940826U, 2743975456U, "10.0.1.5"},
    {"\\39DKW^)N_", 3548879868U, 3550704865U, "10.0.1.3"}, {"EM75N0+[X1", 1558531507U, 1559308507U, "10.0.1.4"},
    {"`,SS]NBP,b", 1883545960U, 1884847278U, "10.0.1.1"},  {"XX1a9LT+F?", 653487707U, 656410408U, "10.0.1.5"},
    {"Zc\\-,F-c6V", 1160802451U, 1171575728U, "10.0.1.5"}, {"1*RTMC7,03", 1602398012U, 1606398093U, "10.0.1.8"},
    {"*Xc+V0P>32", 536016577U, 539988520U, "10.0.1.7"},    {"U))Fb-(`,.", 4128682289U, 4136854163U, "10.0.1.7"},
    {"R-08RNTaRT", 3718170086U, 3727224240U, "10.0.1.5"},  {"(LHcO203I3", 1007779411U, 1014643570U, "10.0.1.5"},
    {"=256P+;Qc8", 3976201210U, 3976304873U, "10.0.1.5"},  {"OI5XZ_BBT(", 2155922164U, 2168579133U, "10.0.1.7"},
    {"2TLRL/UL;:", 1086800909U, 1095659802U, "10.0.1.7"},  {"WHD\\O1`ZRW", 3087923411U, 3095471560U, "10.0.1.5"},
    {".=54)_c;=T", 2497691631U, 2502731301U, "10.0.1.1"},  {";G<W-XWZ@b", 2888169733U, 2888728739U, "10.0.1.5"},
    {"(,>E`)FT\\4", 580747448U, 581063326U, "10.0.1.2"},   {"HZAU*;P*N]", 2564670474U, 2565697267U, "10.0.1.7"},
    {"NZ@ZE=O84_", 533335275U, 539988520U, "10.0.1.7"},    {"6,cEI`F_P>", 3972869246U, 3974773167U, "10.0.1.6"},
    {"c,5AQ/T5)6", 2835605783U, 2847870057U, "10.0.1.8"},  {".O,>>BT)RX", 3857978174U, 3871917949U, "10.0.1.5"},
};

const std::vector<std::pair<std::string, int>> ketama_servers = {
    {"10.0.1.1", 600},  {"10.0.1.2", 300}, {"10.0.1.3", 200}, {"10.0.1.4", 350},
    {"10.0.1.5", 1000}, {"10.0.1.6", 800}, {"10.0.1.7", 950}, {"10.0.1.8", 100}};

TEST_CASE("ketama_ring agrees with libmemcached", "[hashing][ketama]") {
  const banyan::ketama_ring ring{ketama_servers};
  for (const ketama_value& value : ketama_values) {
    CAPTURE(value.key);
    CHECK(banyan::ketama_scheme::hash(value.key) == value.point);
    CHECK(ring.where().landing(value.point) == value.landing);
    CHECK(ring.find(value.key) == value.server);
  }
}

TEST_CASE("ketama_ring has 160 points a server, and leaves out the default port", "[hashing][ketama]") {
  const banyan::ketama_ring even{{"a", "b", "c"}};
  CHECK(even.where().points() == 480);
  const banyan::ketama_ring with_port{{"a:11211", "b:11211", "c:11211"}};
  const banyan::ketama_ring other_port{{"a:11212", "b:11212", "c:11212"}};
  int different = 0;
  for (int key = 0; key < 300; ++key) {
    const std::string text = std::to_string(key);
    CHECK(*even.find(text) + ":11211" == with_port.find(text));
    different += *even.find(text) + ":11212" != other_port.find(text) ? 1 : 0;
  }
  CHECK(different > 100);
}

struct placed_key {
  const char* key;
  const char* server;
};

// As nginx places them on 10.0.0.1:443 to 10.0.0.9:443, weight 100 each.
constexpr placed_key nginx_values[] = {
    {"/81fa1d251d605775d647b5b55565e71526d4cef6", "10.0.0.7:443"},
    {"/2fec328e6ccdda6a7edf329f9f780e546ea183b4", "10.0.0.5:443"},
    {"/19fb835d90883a6263ec4279c6da184e3f1a79b2", "10.0.0.4:443"},
    {"/da7a88e542f7aaddc074f988164b9df7e5f7fea6", "10.0.0.4:443"},
    {"/8f87cfd8005306643b6528b3d4125cf005139a7e", "10.0.0.5:443"},
    {"/26d2769eab098458bc3e4e641a4b7d8abffd0aea", "10.0.0.6:443"},
    {"/aa5b5323980f2d3e21246212ebd820c3949c1e88", "10.0.0.7:443"},
    {"/d9c4bc3cc4517c629e8f4c911c2fd8baf260ae65", "10.0.0.1:443"},
    {"/28c1c069a2904bb3b3e0f9731b1ff8de9ab7a76d", "10.0.0.4:443"},
    {"/fe5199bdfeee5cd431ae7e9f77f178164f9995a0", "10.0.0.9:443"},
    {"/43992eee187920c5e8695332f71ca6e23ef6ac4b", "10.0.0.3:443"},
    {"/38528aab753a6f32de86b5a7acdbb0c885137a81", "10.0.0.9:443"},
    {"/12d4b9155ff599c0ac554226796b58a2278b450f", "10.0.0.7:443"},
    {"/9c34c9a4f9009997dd29c6e6a627b0aca7beb6e5", "10.0.0.5:443"},
    {"/eb5a2ab55796afd673874fd7560f1329be5540bd", "10.0.0.9:443"},
    {"/ad7b5395766b77098c3f212043650a805b622ffe", "10.0.0.3:443"},
    {"/c72fedf4177499635302849496898fe4f3409cc1", "10.0.0.9:443"},
    {"/77766138aaf0c016bdd1f6b996177fc8ca1d2204", "10.0.0.8:443"},
    {"/860c86b94e04f2648fb164c87fd6166707fd08ff", "10.0.0.6:443"},
    {"/1b419454e4eb63ef915e8e06cc11110a3ccd607e", "10.0.0.7:443"},
    {"/a8762dc488e1a1af31e53af8ddb887d4f3cca990", "10.0.0.8:443"},
    {"/2e8e8e8fdeada0bbd33ba57d20209b4d9343f965", "10.0.0.4:443"},
    {"/0220fa8b9a256e7fcf823097759aa3c44e6390e3", "10.0.0.6:443"},
    {"/418c1c554186b78c11de89227fbc24ef128bce54", "10.0.0.8:443"},
    {"/bc86e565b76f8e6f560064b02ab26529b6064571", "10.0.0.3:443"},
    {"/5c6a9b50df69956bd2b937ce7871ba6d67678db6", "10.0.0.5:443"},
    {"/5726f95dd0b1b145ad1a06755580f42fea41ac2a", "10.0.0.9:443"},
    {"/db601a7f7e24504b820e5ef5276b2653ec6c17d9", "10.0.0.4:443"},
    {"/f428a38a0d3dbbb12d475aa8f5be917147175eaf", "10.0.0.6:443"},
    {"/b815ca5871d52098946eded8a3382d086747818f", "10.0.0.1:443"},
    {"/fc61e21e21c6c0a9e03807a2cad7c1e79a104786", "10.0.0.1:443"},
    {"/8278c52b97c1e805c1c7c1a62123ca0a87e2ea2a", "10.0.0.8:443"},
    {"/668fd6d99bfb50b85b0928a8915761be2ca19089", "10.0.0.2:443"},
    {"/fefbfb22035c938b44d305dbb71b11d531257af8", "10.0.0.2:443"},
    {"/c30b287269464a75cf76a603145a7e44b83c8bde", "10.0.0.5:443"},
    {"/7584dbc60619230cb5a315cfdd3760fe2e2980c3", "10.0.0.9:443"},
    {"/399b3bdce88319bdba1b6b310cfcbd9db9cec234", "10.0.0.6:443"},
    {"/5edc91979f6f38dbbe00544d97d617b92b3df93d", "10.0.0.9:443"},
    {"/ac740e2450803d9b6042a3a98e5fe16eaad536e6", "10.0.0.1:443"},
    {"/46013f26dbbde9c25de5fcbb92ff331d5614bae8", "10.0.0.5:443"},
};

TEST_CASE("nginx_ring agrees with nginx", "[hashing][nginx]") {
  std::vector<std::pair<std::string, int>> servers;
  for (int i = 1; i <= 9; ++i) servers.emplace_back("10.0.0." + std::to_string(i) + ":443", 100);
  const banyan::nginx_ring ring{servers};
  for (const placed_key& value : nginx_values) {
    CAPTURE(value.key);
    CHECK(ring.find(value.key) == value.server);
  }
}

TEST_CASE("nginx_ring takes names without a port, with letters behind the colon, and sockets", "[hashing][nginx]") {
  const banyan::nginx_ring ring{{"backend", "backend:http", "unix:/tmp/a", "[::1]", "[::1]:80", ":80"}};
  CHECK(ring.find_n("key", 10).size() == 6);
  CHECK(banyan::nginx_ring{}.find("key") == std::nullopt);
}

std::vector<std::string> hosts(int from, int count) {
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) names.push_back("127.0.0.1:" + std::to_string(from + i));
  return names;
}

// Envoy's own tests: the points of six hosts with two points each.
TEST_CASE("envoy_ring agrees with Envoy, by XXH64", "[hashing][envoy]") {
  const banyan::envoy_ring ring{hosts(90, 6), {.minimum_ring_size = 12}};
  const auto& where = ring.where();
  CHECK(where.points() == 12);
  const std::pair<std::uint64_t, std::uint32_t> points[] = {
      {833437586790550860U, 4},   {928266305478181108U, 2},   {1033482794131418490U, 0},  {3551244743356806947U, 5},
      {3851675632748031481U, 3},  {5583722120771150861U, 1},  {6311230543546372928U, 1},  {7700377290971790572U, 3},
      {13144177310400110813U, 5}, {13444792449719432967U, 2}, {15516499411664133160U, 4}, {16117243373044804889U, 0}};
  for (std::size_t i = 0; i < 12; ++i) {
    CAPTURE(i);
    CHECK(where.find(points[i].first) == points[i].second);
    CHECK(where.find(points[i].first + 1) == points[(i + 1) % 12].second);
  }
  CHECK(where.find(0) == 4);
  CHECK(where.find(std::numeric_limits<std::uint64_t>::max()) == 4);
}

TEST_CASE("envoy_ring agrees with Envoy, by MurmurHash2", "[hashing][envoy]") {
  const banyan::envoy_ring ring{hosts(80, 6), {.minimum_ring_size = 12, .murmur_hash_2 = true}};
  const auto& where = ring.where();
  const std::pair<std::uint64_t, std::uint32_t> points[] = {
      {1358027074129602068U, 5},  {4361834613929391114U, 3},  {7224494972555149682U, 4},  {7701421856454313576U, 1},
      {8649315368077433379U, 2},  {8739448859063030639U, 4},  {9887544217113020895U, 1},  {10150910876324007731U, 2},
      {15168472011420622455U, 3}, {15427156902705414897U, 0}, {16375050414328759093U, 5}, {17613279263364193813U, 0}};
  for (std::size_t i = 0; i < 12; ++i) {
    CHECK(where.find(points[i].first) == points[i].second);
    CHECK(where.find(points[i].first + 1) == points[(i + 1) % 12].second);
  }
}

TEST_CASE("envoy_ring gives points by weight as Envoy does", "[hashing][envoy]") {
  const std::vector<std::pair<std::string, int>> weighted = {
      {"127.0.0.1:90", 1}, {"127.0.0.1:91", 2}, {"127.0.0.1:92", 3}};
  const banyan::envoy_ring tiny{weighted, {.minimum_ring_size = 6, .maximum_ring_size = 6}};
  CHECK(tiny.where().points() == 6);
  const std::pair<std::uint64_t, std::uint32_t> points[] = {{928266305478181108U, 2},   {4443673547860492590U, 2},
                                                            {5583722120771150861U, 1},  {6311230543546372928U, 1},
                                                            {13444792449719432967U, 2}, {16117243373044804889U, 0}};
  for (const auto& [hash, node] : points) CHECK(tiny.where().find(hash) == node);

  const auto shares = [](const banyan::envoy_ring& ring, std::uint64_t keys) {
    std::vector<int> counts(ring.size());
    for (std::uint64_t i = 0; i < keys; ++i) {
      ++counts[ring.where().find(i * (std::numeric_limits<std::uint64_t>::max() / keys))];
    }
    return counts;
  };
  CHECK(shares({weighted, {.minimum_ring_size = 6144}}, 6000) == std::vector<int>{987, 1932, 3081});
  // A scale that is no whole number of points for each.
  CHECK(shares({hosts(90, 2), {.minimum_ring_size = 1023, .maximum_ring_size = 1023}}, 1023) ==
        std::vector<int>{526, 497});
}

TEST_CASE("envoy_maglev agrees with Envoy", "[hashing][envoy]") {
  const auto table_of = [](const banyan::envoy_maglev& table, std::uint64_t slots) {
    std::vector<std::uint32_t> nodes;
    for (std::uint64_t slot = 0; slot < slots; ++slot) nodes.push_back(table.where().find(slot + slots));
    return nodes;
  };
  CHECK(table_of({hosts(90, 6), {.table_size = 7}}, 7) == std::vector<std::uint32_t>{2, 4, 0, 1, 5, 0, 3});
  CHECK(table_of({{"90", "91", "92", "93", "94", "95"}, {.table_size = 7}}, 7) ==
        std::vector<std::uint32_t>{2, 5, 0, 3, 4, 1, 0});
  // The order given does not matter.
  CHECK(table_of({{"95", "94", "93", "92", "91", "90"}, {.table_size = 7}}, 7) ==
        std::vector<std::uint32_t>{3, 0, 5, 2, 1, 4, 5});
  CHECK(table_of({{{"127.0.0.1:90", 1}, {"127.0.0.1:91", 2}}, {.table_size = 17}}, 17) ==
        std::vector<std::uint32_t>{1, 0, 0, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 0, 1, 0, 1});
  CHECK(table_of({{{"127.0.0.1:90", 1}, {"127.0.0.1:91", 1}}, {.table_size = 17}}, 17) ==
        std::vector<std::uint32_t>{1, 0, 0, 1, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0, 1, 0, 1});
}

TEMPLATE_TEST_CASE("interoperable rings have the verbs of all others", "[hashing][interop]", banyan::ketama_ring,
                   banyan::nginx_ring, banyan::envoy_ring, banyan::envoy_maglev) {
  TestType ring{{"a:1", "b:1"}};
  CHECK(ring.add("c:1", 3));
  CHECK_FALSE(ring.add("c:1"));
  CHECK(ring.size() == 3);
  CHECK(ring.weights()[2].weight == 3);
  int third = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::string key = "key " + std::to_string(i);
    const auto all = ring.find_n(key, 7);
    REQUIRE(all.size() == 3);
    CHECK(std::set<std::string>(all.begin(), all.end()).size() == 3);
    CHECK(ring.find(key) == all[0]);
    CHECK(ring.find_n(key, 2) == std::vector<std::string>{all[0], all[1]});
    third += all[0] == "c:1" ? 1 : 0;
  }
  CHECK(third > 480);
  CHECK(third < 720);
  CHECK(ring.set_weight("c:1", 1));
  CHECK(ring.remove("a:1"));
  CHECK_FALSE(ring.remove("a:1"));
  CHECK(ring.size() == 2);
  TestType again{{"b:1", "c:1"}};
  for (int i = 0; i < 200; ++i) CHECK(ring.find(std::to_string(i)) == again.find(std::to_string(i)));
  ring.remove("b:1");
  CHECK(ring.find("x") == "c:1");
  ring.remove("c:1");
  CHECK(ring.find("x") == std::nullopt);
  CHECK(ring.find_n("x", 2).empty());
}

TEMPLATE_TEST_CASE("interoperable rings refuse bad names and weights", "[hashing][interop]", banyan::ketama_ring,
                   banyan::nginx_ring, banyan::envoy_ring, banyan::envoy_maglev) {
  TestType ring{{"a"}};
  CHECK_THROWS_AS((TestType{{"a", "b", "a"}}), std::invalid_argument);
  CHECK_THROWS_AS((TestType{{"a", ""}}), std::invalid_argument);
  for (const double bad : {0.0, -1.0, 0.5, 1.5, 4294967296.0, std::numeric_limits<double>::quiet_NaN(),
                           std::numeric_limits<double>::infinity()}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(ring.add("b", bad), std::invalid_argument);
    CHECK_THROWS_AS(ring.set_weight("a", bad), std::invalid_argument);
  }
  CHECK(ring.size() == 1);
}

TEST_CASE("options of the interoperable rings are checked", "[hashing][interop]") {
  using ring = banyan::envoy_ring;
  using table = banyan::envoy_maglev;
  CHECK_THROWS_AS((ring{{"a"}, {.minimum_ring_size = 20, .maximum_ring_size = 10}}), std::invalid_argument);
  CHECK_THROWS_AS((ring{{"a"}, {.minimum_ring_size = 0, .maximum_ring_size = 0}}), std::invalid_argument);
  CHECK_THROWS_AS((ring{{"a"}, {.maximum_ring_size = 8'388'609}}), std::invalid_argument);
  CHECK_THROWS_AS((table{{"a"}, {.table_size = 8}}), std::invalid_argument);
  CHECK_THROWS_AS((table{{"a"}, {.table_size = 5'000'077}}), std::invalid_argument);
  CHECK_THROWS_AS((banyan::nginx_ring{{{"a", 4'000'000}}}), std::invalid_argument);
  CHECK_THROWS_AS((banyan::ketama_ring{{{"a", 4'000'000'000}, {"b", 4'000'000'000}}}), std::invalid_argument);
}

}  // namespace
