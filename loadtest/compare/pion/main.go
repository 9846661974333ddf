// A minimal forwarder on Pion, to compare with: WHIP in, WHEP out, packets copied from one to the other.
//
//	forwarder 127.0.0.1:8090
//
// POST /whip/ROOM publishes, POST /whep/ROOM receives every track of the room, DELETE of the Location ends a session.
// Publishers come first. There is no authentication, no adaptation, no key-frame cache.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/pion/dtls/v2"
	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v3"
)

type room struct {
	tracks []*webrtc.TrackLocalStaticRTP
	// That its publishers have offered: each is a track once its first packet has come.
	offered int
}

type server struct {
	api      *webrtc.API
	mutex    sync.Mutex
	rooms    map[string]*room
	sessions map[string]*webrtc.PeerConnection
	count    int
}

func (s *server) room(name string) *room {
	if s.rooms[name] == nil {
		s.rooms[name] = &room{}
	}
	return s.rooms[name]
}

// forward copies what a publisher sends to everybody who receives its track.
func (s *server) forward(name string, pc *webrtc.PeerConnection, track *webrtc.TrackRemote) {
	local, err := webrtc.NewTrackLocalStaticRTP(track.Codec().RTPCodecCapability, track.ID(), track.StreamID())
	if err != nil {
		return
	}
	s.mutex.Lock()
	s.room(name).tracks = append(s.room(name).tracks, local)
	s.mutex.Unlock()
	if track.Kind() == webrtc.RTPCodecTypeVideo {
		go func() {
			request := []rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(track.SSRC())}}
			for range time.Tick(3 * time.Second) {
				if pc.WriteRTCP(request) != nil {
					return
				}
			}
		}()
	}
	buffer := make([]byte, 1500)
	for {
		length, _, err := track.Read(buffer)
		if err != nil {
			return
		}
		if _, err = local.Write(buffer[:length]); err != nil && err != io.ErrClosedPipe {
			return
		}
	}
}

// tracks waits until all that were offered are there, 5 s at most.
func (s *server) tracks(name string) []*webrtc.TrackLocalStaticRTP {
	for try := 0; ; try++ {
		s.mutex.Lock()
		room := s.room(name)
		tracks, offered := append([]*webrtc.TrackLocalStaticRTP(nil), room.tracks...), room.offered
		s.mutex.Unlock()
		if len(tracks) >= offered || try == 500 {
			return tracks
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (s *server) prepare(name string, publishes bool, pc *webrtc.PeerConnection) error {
	if publishes {
		pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { s.forward(name, pc, track) })
		return nil
	}
	for _, track := range s.tracks(name) {
		sender, err := pc.AddTrack(track)
		if err != nil {
			return err
		}
		go func() {
			// Retransmission and reports are the interceptors' work; they run when somebody reads.
			buffer := make([]byte, 1500)
			for {
				if _, _, err := sender.Read(buffer); err != nil {
					return
				}
			}
		}()
	}
	return nil
}

func (s *server) post(writer http.ResponseWriter, request *http.Request, publishes bool, name string) error {
	offer, err := io.ReadAll(io.LimitReader(request.Body, 1<<20))
	if err != nil {
		return err
	}
	pc, err := s.api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return err
	}
	err = s.prepare(name, publishes, pc)
	if err == nil {
		err = pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: string(offer)})
	}
	if err != nil {
		pc.Close()
		return err
	}
	if publishes {
		s.mutex.Lock()
		s.room(name).offered += len(pc.GetTransceivers())
		s.mutex.Unlock()
	}
	answer, err := pc.CreateAnswer(nil)
	if err == nil {
		gathered := webrtc.GatheringCompletePromise(pc)
		if err = pc.SetLocalDescription(answer); err == nil {
			<-gathered
		}
	}
	if err != nil {
		pc.Close()
		return err
	}
	s.mutex.Lock()
	s.count++
	location := fmt.Sprintf("/session/%d", s.count)
	s.sessions[location] = pc
	s.mutex.Unlock()
	writer.Header().Set("Content-Type", "application/sdp")
	writer.Header().Set("Location", location)
	writer.WriteHeader(http.StatusCreated)
	_, err = io.WriteString(writer, pc.LocalDescription().SDP)
	return err
}

func (s *server) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	parts := strings.Split(strings.Trim(request.URL.Path, "/"), "/")
	var err error
	switch {
	case request.Method == http.MethodPost && len(parts) >= 2 && (parts[0] == "whip" || parts[0] == "whep"):
		err = s.post(writer, request, parts[0] == "whip", parts[1])
	case request.Method == http.MethodDelete:
		s.mutex.Lock()
		pc := s.sessions[request.URL.Path]
		delete(s.sessions, request.URL.Path)
		s.mutex.Unlock()
		if pc != nil {
			err = pc.Close()
		}
	default:
		http.NotFound(writer, request)
	}
	if err != nil {
		http.Error(writer, err.Error(), http.StatusInternalServerError)
	}
}

func newAPI() (*webrtc.API, error) {
	media := &webrtc.MediaEngine{}
	if err := media.RegisterDefaultCodecs(); err != nil {
		return nil, err
	}
	registry := &interceptor.Registry{}
	if err := webrtc.RegisterDefaultInterceptors(media, registry); err != nil {
		return nil, err
	}
	settings := webrtc.SettingEngine{}
	settings.SetLite(true)
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	settings.SetIncludeLoopbackCandidate(true)
	if err := settings.SetAnsweringDTLSRole(webrtc.DTLSRoleServer); err != nil {
		return nil, err
	}
	// What the others are measured with.
	settings.SetSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM)
	return webrtc.NewAPI(
		webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(registry), webrtc.WithSettingEngine(settings),
	), nil
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: forwarder HOST:PORT")
		os.Exit(64)
	}
	api, err := newAPI()
	if err == nil {
		handler := &server{api: api, rooms: map[string]*room{}, sessions: map[string]*webrtc.PeerConnection{}}
		err = http.ListenAndServe(os.Args[1], handler)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
