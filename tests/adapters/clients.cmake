# Links banyan_tests_adapters with the client libraries that are installed. Tests of the others say that they are skipped.
include(${PROJECT_SOURCE_DIR}/examples/clients.cmake)

foreach(client sqlite libpq hiredis openssl)
  banyan_client(${client})
  if(TARGET banyan_client_${client})
    target_link_libraries(banyan_tests_adapters PRIVATE banyan_client_${client})
    string(TOUPPER ${client} upper)
    target_compile_definitions(banyan_tests_adapters PRIVATE BANYAN_TEST_${upper})
  endif()
endforeach()
